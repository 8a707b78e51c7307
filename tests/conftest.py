"""Settings for every test: nothing of the shell leaks in, and property tests do not fail for a slow machine."""

from __future__ import annotations

import os
import signal

from hypothesis import HealthCheck, settings

settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")

for name in tuple(os.environ):
    if name.startswith(("DATADOG_", "SYNTHETICS_", "CONTROLPLANE_")):
        del os.environ[name]

# A shell that starts the tests in the background has them ignore Ctrl-C, and every program that they start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
