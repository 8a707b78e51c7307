"""The ways out, as values: hosts and their only reader, the policy on them, name servers and proxies.

No IO: it reads, judges and explains; it looks nothing up and dials nothing. `net` does, with these values.
"""
