"""What every kind of work says of how it went: failures, phases, resolution.

Frozen values only: nothing here raises, waits, or knows a protocol.
"""
