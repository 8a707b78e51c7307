"""Evaluation that can be killed: work whose cost its input does not bound runs in child processes that the kernel limits."""
