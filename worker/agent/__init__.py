"""The agent: takes slots, pulls jobs, runs them, pushes results, drains. Knows jobs, leases and bytes; never what a job asks for."""
