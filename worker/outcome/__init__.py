"""What every kind of work says of how it went: failures, phases, resolution. Values only; nothing here raises, waits or knows a protocol."""
