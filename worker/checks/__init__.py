"""Observation → verdict, pure. Nothing here opens a file or a connection, waits, or reads a clock.

`bounded` is what may run in place, on the event loop, and imports nothing heavy; `evaluate` is everything, for a process that
can be killed. Both are the same code: `evaluate` hands what is bounded to the same functions.
"""
