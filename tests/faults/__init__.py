"""Faults: the two programs as real processes, what is done to them, and an auditor that reads what became of every run.

A round starts a control plane, workers, an honest target and a gate between them on loopback, inflicts what its seed chose,
lets all of it recover and audits the record: `python -m tests.faults --seed N`. No program knows that it is under test: what
they meet comes from signals, limits, the wire and a preloaded library. `record` and `auditor` know docs/protocol.md alone.
"""
