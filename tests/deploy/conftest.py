"""The three images, built once a session, and containers that end with their test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.deploy.engine import Container, Engine
from tests.deploy.images import CONTROL_PLANE, RUNNER, WORKER, StartContainer
from tests.support.running_programs import control_plane, start_worker, target
from worker import __version__

__all__ = ("control_plane", "start_worker", "target")  # fixtures


@pytest.fixture(scope="session")
def engine() -> Engine:
    """With the images as `make image` tags them."""
    ready = Engine()
    ready.make_base()
    ready.build(
        {
            "worker": (WORKER, f"{WORKER}:{__version__}"),
            "controlplane": (CONTROL_PLANE, f"{CONTROL_PLANE}:{__version__}"),
            "runner": (RUNNER, f"{RUNNER}:{__version__}"),
        }
    )
    return ready


@pytest.fixture
def start(engine: Engine) -> Iterator[StartContainer]:
    """Start a container: the arguments of `docker run`."""
    containers: list[Container] = []

    def begin(*arguments: str) -> Container:
        containers.append(engine.start(*arguments))
        return containers[-1]

    yield begin
    for container in containers:
        container.remove()
