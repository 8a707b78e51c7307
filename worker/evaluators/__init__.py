"""Assertions judged in processes that can be killed: the pool, its tasks, and the loop inside a process. What an assertion means is checks' subject."""
