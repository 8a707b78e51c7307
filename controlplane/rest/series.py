"""Series of single tests in Prometheus' text format: state, duration and time of the newest run. Text alone: it reads nothing.

A registry's own writer takes a hundred microseconds for what is three lines here, and there are ten thousand tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from controlplane.store.gauges import NewestRun

OWN_LABELS = ("test", "name", "location", "job", "instance", "le")
"""Labels that have a meaning already: ours, and those that a scrape adds."""
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_STATES = {"passed": 1, "failed": 0, "missed": -1}
_PREFIX = "synthetics_controlplane_test_"
_FAMILIES = (
    ("state", "The newest run: 1 passed, 0 failed, -1 missed, so that nobody knows."),
    ("duration_seconds", "Sum of the phases of the newest run that took place."),
    ("last_run_timestamp_seconds", "Moment at which the newest run was noted."),
)


@dataclass(frozen=True, slots=True)
class SeriesChoice:
    """The *tags* that become labels, by their keys, and how many tests (each at one location) have series at *most*."""

    tags: tuple[str, ...] = ()
    most: int = 10_000


ALL_TESTS = SeriesChoice()


def is_label(key: str) -> bool:
    """Tell if the key of a tag may be a label beside ours."""
    return _LABEL.fullmatch(key) is not None and not key.startswith("__") and key not in OWN_LABELS


class RunSeries:
    """The lines of tests, a family after the other, as the format wants them."""

    def __init__(self, choice: SeriesChoice) -> None:
        self._tags = choice.tags
        self._lines: dict[str, list[str]] = {name: [] for name, _ in _FAMILIES}

    def add(self, states: Iterable[NewestRun]) -> None:
        state, duration, last = (self._lines[name] for name, _ in _FAMILIES)
        for one in states:
            labels = "".join(self._labels(one))
            state.append(f"{_PREFIX}state{{{labels}}} {_STATES.get(one.status, -1)}\n")
            if one.duration_ms is not None:
                duration.append(f"{_PREFIX}duration_seconds{{{labels}}} {one.duration_ms / 1000!r}\n")
            last.append(f"{_PREFIX}last_run_timestamp_seconds{{{labels}}} {one.at / 1000!r}\n")

    def text(self) -> Iterator[str]:
        for name, help_text in _FAMILIES:
            yield f"# HELP {_PREFIX}{name} {help_text}\n# TYPE {_PREFIX}{name} gauge\n"
            yield from self._lines[name]

    def _labels(self, one: NewestRun) -> Iterator[str]:
        """A tag is `key:value`; of several values of one key, the label has all."""
        yield f'test="{one.test}",name="{_escaped(one.name)}",location="{_escaped(one.location_name)}"'
        for key in self._tags:
            values = sorted(tag[len(key) + 1 :] for tag in one.tags if tag.startswith(f"{key}:"))
            if values:
                yield f',{key}="{_escaped(",".join(values))}"'


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
