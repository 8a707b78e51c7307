"""The second program: a runner that enrols itself, pulls signed orders, carries them out under a local policy, and reports.

Nothing but a signed order, or a token and values of a page, makes it act; what its local policy does not allow it refuses,
whoever signed it. It schedules nothing.
"""
