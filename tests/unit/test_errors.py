"""Every error of both programs has one root and stands in the tree that its reader sees."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType

import click
import pytest

import controlplane
import controlplane.errors
import worker
import worker.errors
from worker.errors import SyntheticsError

INTERRUPTED = "Interrupted"
"""A BaseException on purpose: the code under an interval timer catches Exception."""


def errors_of(program: ModuleType) -> Iterator[type[BaseException]]:
    for found in pkgutil.walk_packages(program.__path__, f"{program.__name__}."):
        if not found.name.endswith("__main__") and ".migrations" not in found.name:
            module = importlib.import_module(found.name)
            for value in vars(module).values():
                if isinstance(value, type) and issubclass(value, BaseException) and value.__module__ == found.name:
                    yield value


WORKER = sorted(set(errors_of(worker)) - {SyntheticsError}, key=lambda error: error.__name__)
CONTROL_PLANE = sorted(
    (error for error in set(errors_of(controlplane)) if not issubclass(error, click.ClickException)),
    key=lambda error: error.__name__,
)


@pytest.mark.parametrize("error", [*WORKER, *CONTROL_PLANE], ids=lambda error: error.__name__)
def test_every_error_has_the_one_root(error: type[BaseException]) -> None:
    assert issubclass(error, SyntheticsError) or error.__name__ == INTERRUPTED


@pytest.mark.parametrize("error", WORKER, ids=lambda error: error.__name__)
def test_the_workers_tree_shows_each(error: type[BaseException]) -> None:
    assert error.__name__ == INTERRUPTED or f"─ {error.__name__} " in str(worker.errors.__doc__)


@pytest.mark.parametrize("error", CONTROL_PLANE, ids=lambda error: error.__name__)
def test_the_control_planes_tree_shows_each(error: type[BaseException]) -> None:
    assert f"─ {error.__name__} " in str(controlplane.errors.__doc__)
