"""Retries as a definition asks for them: more executions after one that failed, so that a blip is not an alert. Runs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from worker.apitest.reading import Findings, Node

DEFAULT_INTERVAL = 0.3
"""Seconds, the reference system's own."""
LONGEST_FAST = 5.0
"""Seconds between two executions of a test that its worker waits in the test's slot: the reference system's bound."""
MOST_RETRIES = 10
"""Executions after the first. The reference system documents three; each may take as long as a run, in the same slot."""


class Retry(Struct, frozen=True, kw_only=True):
    """At most *count* executions after one that failed, *interval* seconds apart."""

    count: int
    interval: float = DEFAULT_INTERVAL

    @property
    def is_fast(self) -> bool:
        """True: the worker makes the retries itself, within the run. False: they are the control plane's."""
        return self.interval <= LONGEST_FAST

    def hurried(self) -> Retry:
        """The same with waits as a run makes them itself, for who has no control plane."""
        return replace(self, interval=min(self.interval, LONGEST_FAST))


def read_retry(node: Node) -> Retry | None:
    """`{count, interval}`, the interval in milliseconds; None where nothing is to be retried."""
    retry = node.object()
    count, interval = retry["count"].number(), retry["interval"].number()
    if interval is not None and interval < 0:
        retry["interval"].mistake("must not be negative")
        return None
    if count is None or count < 1:
        return None
    if count > MOST_RETRIES:
        retry["count"].ignores(f"a test is retried {MOST_RETRIES} times at most")
    seconds = DEFAULT_INTERVAL if interval is None else interval / 1000
    return Retry(count=int(min(count, MOST_RETRIES)), interval=seconds)


def retry_of(definition: Mapping[str, Any]) -> Retry | None:
    """`options.retry` of a definition that was read before; None where it asks for nothing."""
    options = definition.get("options")
    retry = options.get("retry") if isinstance(options, dict) else None
    return read_retry(Node(retry, "options.retry", Findings()))
