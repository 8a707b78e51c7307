"""The examples of what stands before a runner's port for pages: they name what the manifests and the program have."""

from __future__ import annotations

from typing import Any

import yaml

from tests.support.checkout import ROOT
from worker.actionrunner.listener import PageAccess
from worker.actionrunner.pagebodies import MAX_BODY_BYTES

EXAMPLES = ROOT / "k8s" / "runner" / "examples"


def objects(name: str) -> dict[str, dict[str, Any]]:
    return {each["kind"]: each for each in yaml.safe_load_all((EXAMPLES / name).read_text())}


def test_the_service_and_its_opening_find_the_pod_of_the_manifests() -> None:
    deployment = yaml.safe_load((ROOT / "k8s" / "runner" / "deployment.yaml").read_text())
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    ports = {each["containerPort"] for each in deployment["spec"]["template"]["spec"]["containers"][0]["ports"]}
    found = objects("service.yaml")
    assert found["Service"]["spec"]["selector"].items() <= labels.items()
    assert found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert {each["targetPort"] for each in found["Service"]["spec"]["ports"]} <= ports
    assert found["NetworkPolicy"]["spec"]["ingress"][0]["ports"] == [{"protocol": "TCP", "port": 9016}]


def test_the_ways_in_lead_to_the_service_and_to_paths_that_are_answered() -> None:
    service = objects("service.yaml")["Service"]
    ingress, route = objects("ingress.yaml")["Ingress"], objects("gateway.yaml")["HTTPRoute"]
    path = ingress["spec"]["rules"][0]["http"]["paths"][0]
    assert path["backend"]["service"]["name"] == service["metadata"]["name"]
    assert path["backend"]["service"]["port"]["name"] == service["spec"]["ports"][0]["name"]
    rule = route["spec"]["rules"][0]
    assert rule["backendRefs"][0] == {"name": service["metadata"]["name"], "port": service["spec"]["ports"][0]["port"]}
    access = PageAccess.of("https://runner.corp.example", (), [])
    for prefix in (path["path"], rule["matches"][0]["path"]["value"]):
        assert access.action(f"{prefix}http.request") == "http.request"
    assert ingress["spec"]["rules"][0]["host"] in access.hosts
    assert route["spec"]["hostnames"][0] in access.hosts
    bound = ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"]
    assert int(bound.removesuffix("k")) * 1024 == MAX_BODY_BYTES
