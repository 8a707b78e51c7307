"""Probers, one file a protocol: a request, the door, a clock and limits go in, an observation comes out. They never judge.

`table` has them all. A prober reaches its target through `worker.net.door` alone.
"""
