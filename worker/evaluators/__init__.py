"""Assertions judged in processes that can be killed: the pool, its tasks, and the loop inside a process.

What an assertion means is decided in `worker.checks`; how a process is limited and killed, in `worker.sandbox`.
"""
