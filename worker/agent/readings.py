"""The state of the agent's parts as `/metrics` shows it: each reading is taken at the moment of a scrape."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from worker.agent.inflight import InFlight
from worker.agent.outbox import Outbox
from worker.agent.poller import Poller
from worker.agent.slots import Slots

if TYPE_CHECKING:  # a worker without a spool does not load it
    from worker.agent.journal.journal import Journal


class Display(Protocol):
    """The part of the metrics that this module needs: gauges and counters that read a value."""

    def watch(self, name: str, help_text: str, read: Callable[[], float]) -> None: ...

    def watch_count(self, name: str, help_text: str, read: Callable[[], float]) -> None: ...


def show(display: Display, *, slots: Slots, inflight: InFlight, poller: Poller, outbox: Outbox) -> None:
    """Show slots, jobs, pulls and waiting results."""
    watch, count, counts = display.watch, display.watch_count, poller.counts
    watch("slots", "Slots in all, the option concurrency.", lambda: slots.size)
    watch("free_slots", "Slots in which a job could run now.", lambda: slots.free)
    watch("running", "Jobs under way.", lambda: inflight.running)
    count("pulls_answered", "Pulls with a signed reply.", lambda: counts.answered)
    count("pulls_failed", "Pulls without a usable reply.", lambda: counts.failed)
    count("unreadable_batches", "Signed batches that could not be opened or read.", lambda: counts.unreadable)
    watch("outbox_results", "Results that wait for a signed reply.", lambda: outbox.waiting)
    watch("outbox_bytes", "Size of the results that wait.", lambda: outbox.waiting_bytes)


def show_journal(display: Display, journal: Journal) -> None:
    """Show what is on disk and what became of it."""
    watch, count, counts = display.watch, display.watch_count, journal.store.counts
    watch("journal_results", "Finished results on disk, or on their way there.", lambda: journal.results)
    watch("journal_bytes", "Size of the journal on disk, what is done included.", lambda: journal.store.bytes)
    watch("journal_trouble", "1 while no work is taken on account of the disk.", lambda: bool(journal.trouble))
    count("journal_written_results", "Results written to the disk.", lambda: counts.written)
    count("journal_taken_over_results", "Results that dead workers left.", lambda: counts.taken_over)
    count("journal_damaged_records", "Records that could not be read any more.", lambda: counts.damaged)
    count("journal_failures", "Writes to the disk that failed.", lambda: journal.failures)
