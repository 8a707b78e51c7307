"""The second program: a runner that enrols itself, pulls signed orders, carries them out under a local policy, and reports."""
