"""The only door to targets: resolve, judge, dial, tunnel and secure a connection, each phase timed.

Nothing else in the worker opens a socket to a target, and nothing here knows what a test is: probers bring an
endpoint, a protocol and a recorder (`door`). Names are looked up once, every answer is judged by the egress policy,
and what is dialled is an address that was judged, never a name.
"""
