"""The egress policy: which addresses and names a test may reach, and why.

No IO: it judges and explains, and looks nothing up.
"""
