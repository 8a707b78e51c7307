"""Assertions judged in processes that can be killed: the pool, its tasks, and the loop inside a process.

A caller hands over assertions and an observation and gets one result for each assertion. Nothing here decides what an assertion
means, which is `worker.checks`, or how a process is limited and killed, which is `worker.sandbox`.

In the worker: `pool` schedules tasks over processes, `supervisor` keeps the processes alive, `task` is one call on its way,
`exit_cause` is the meaning of a death. In a process: `evaluator` is the program, `loop` what it does. Between them: `protocol`.
"""
