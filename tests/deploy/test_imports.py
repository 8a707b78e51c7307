"""Every module of an image can be imported there: none needs what the image lacks, however late it would ask for it."""

from __future__ import annotations

import pytest

from tests.deploy.engine import Engine
from tests.deploy.images import CONTROL_PLANE, RUNNER, WORKER

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(1500)]

IMPORTING = """
import importlib, pkgutil, sys
count, failed = 0, []
for root in sys.argv[1:]:
    for module in pkgutil.walk_packages(importlib.import_module(root).__path__, root + ".", onerror=failed.append):
        if module.name.endswith("__main__") or ".migrations." in module.name:
            continue
        count += 1
        try:
            importlib.import_module(module.name)
        except ImportError as error:
            failed.append(f"{module.name}: {error}")
print(count, failed)
"""


@pytest.mark.parametrize(
    ("image", "packages"),
    [(WORKER, ["worker"]), (CONTROL_PLANE, ["worker", "controlplane"]), (RUNNER, ["worker"])],
    ids=["worker", "control plane", "runner"],
)
def test_every_module_of_an_image_can_be_imported(engine: Engine, image: str, packages: list[str]) -> None:
    found = engine.run("--network=none", "--entrypoint=python3", image, "-c", IMPORTING, *packages)
    count, _, failed = found.stdout.strip().partition(" ")
    assert failed == "[]"
    assert int(count) > 200 * len(packages)
