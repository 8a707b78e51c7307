"""The whole thing on one machine, made of the public commands: `make run` runs this.

It starts the demo (`examples.show`) in a session of its own and passes signals on to it. The demo holds a pipe to this process:
it sees its end, however that came, and then stops everything that it started.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, `kill`, and a terminal that is closed."""


def main() -> None:
    # Held back until somebody handles them, in the demo too, which inherits this: Ctrl-C may come during the imports.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    demo = subprocess.Popen(
        [sys.executable, "-m", "examples.show", *sys.argv[1:]], stdin=subprocess.PIPE, start_new_session=True
    )

    def pass_on(number: int, _frame: FrameType | None) -> None:
        demo.send_signal(number)

    for number in SIGNALS:
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    sys.exit(demo.wait())


if __name__ == "__main__":
    main()
