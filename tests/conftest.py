"""Settings for every test: nothing of the shell leaks in, and property tests do not fail for a slow machine."""

from __future__ import annotations

import os
import signal

from hypothesis import HealthCheck, settings

settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", parent=settings.get_profile("project"), max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "project"))

for name in tuple(os.environ):
    if name.startswith(("DATADOG_", "SYNTHETICS_", "CONTROLPLANE_")):
        del os.environ[name]

# A shell that starts the tests in the background has them ignore Ctrl-C, and every program that they start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
