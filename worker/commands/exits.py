"""What the exit codes of every command mean."""

DONE = 0
"""Done, passed, allowed, or drained."""
FAILED = 1
"""A test failed, a definition is invalid, a host is denied; or a bug of the worker."""
UNUSABLE = 2
"""Options, config or input that cannot be used: nothing, or not all, was done."""
INTERRUPTED = 130
"""A second Ctrl-C, or the first one where there is nothing to drain."""
