"""The values in which every kind of work says how it went: failure, phases, resolution, handshake, hops.

Frozen values only: nothing here raises, waits, or sends anything.
"""
