"""The running program itself: imports without collections, memory, hardening, its terminal and the files that it replaces.

Both programs use it. It knows nothing of tests, jobs or the network.
"""
