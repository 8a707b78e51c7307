"""The shell lines that ask whether the worker is alive, executed in the image: the pod's, and the image's own HEALTHCHECK."""

from __future__ import annotations

from typing import Any, cast

import pytest
import yaml

from tests.deploy.engine import Engine
from tests.deploy.images import WORKER
from tests.support.checkout import ROOT

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(1500)]


def pod() -> dict[str, Any]:
    return cast("dict[str, Any]", yaml.safe_load((ROOT / "k8s" / "private-worker-pod.yaml").read_text()))


def pod_probe() -> list[str]:
    command = pod()["spec"]["containers"][0]["livenessProbe"]["exec"]["command"]
    return [str(part) for part in command]


def image_probe(engine: Engine) -> list[str]:
    return [str(part) for part in engine.inspect(WORKER)["Healthcheck"]["Test"][1:]]


@pytest.mark.parametrize("whose", ["pod", "image"])
def test_a_worker_counts_as_alive_for_two_minutes_after_its_last_sign(engine: Engine, whose: str) -> None:
    probe = pod_probe() if whose == "pod" else image_probe(engine)
    assert probe[:2] == ["/bin/sh", "-c"]
    script = """
    probe() { /bin/sh -c "$0" 2>/dev/null && echo alive || echo dead; }
    probe
    for age in 0 115000 125000; do echo $(( $(date +%s%3N) - age )) > /tmp/liveness.date; probe; done
    : > /tmp/liveness.date
    probe
    """
    done = engine.run("--network=none", "--entrypoint=/bin/sh", WORKER, "-c", script, probe[2])
    assert done.stdout.split() == ["dead", "alive", "alive", "dead", "dead"], done


def test_the_pods_probe_waits_and_hurries_as_the_guide_says() -> None:
    probe = pod()["spec"]["containers"][0]["livenessProbe"]
    assert (probe["initialDelaySeconds"], probe["periodSeconds"], probe["timeoutSeconds"]) == (30, 10, 2)
