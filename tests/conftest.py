"""Settings for every test: no shell of the developer's leaks in, and property tests do not fail for a slow machine."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")

for name in tuple(os.environ):
    if name.startswith(("DATADOG_", "SYNTHETICS_", "CONTROLPLANE_")):
        del os.environ[name]
