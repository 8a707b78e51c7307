"""The page of a run, as markup, without a control plane around it."""

from __future__ import annotations

from typing import Any

from controlplane.pages.environment import environment
from controlplane.pages.runpicture import picture
from controlplane.store.publicresults import PublicResult


def rendered(value: dict[str, Any]) -> str:
    result = PublicResult(
        id=7,
        test_id="abc-def-ghi",
        test_name=value["test"]["name"] if isinstance(value.get("test"), dict) else "shop",
        location="pl:x",
        location_name="office",
        status="failed",
        origin="worker",
        stored_at=0,
        outcome="",
        triggered_at=None,
        batch=None,
        details=None,
        definition=None,
    )
    around = {
        "link": str,
        "asset": str,
        "navigation": (),
        "here": "",
        "notice": "",
        "live_seconds": None,
        "holder": None,
    }
    values = {"result": result, "run": picture(value), "kind": "scheduled", "version": 1, "times": [], "worker": ""}
    values["readable"] = True
    return environment().get_template("result.html").render(around, csrf_field="", **values)
