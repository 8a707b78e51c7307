"""The only door to targets: resolve, judge, dial, tunnel and secure a connection, each phase timed.

Nothing else in the worker opens a socket to a target, and nothing here knows tests or actions: who sends something brings
an endpoint, a protocol and a recorder (`door`), or a request (`http`). Names are looked up once, every answer is judged by
the egress policy, and what is dialled is an address that was judged, never a name.

`door`, `http`, `failure` and `recorder` are for all of the worker; the rest is the inside of the door.
"""
