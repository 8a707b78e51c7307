"""The agent: takes slots, pulls jobs, runs them, pushes results, and drains.

It knows jobs, leases and bytes. What a job asks for is the knowledge of a kind of work (`worker.work`).
"""
