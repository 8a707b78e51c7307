"""The control plane: schedules tests, leases jobs to workers that pull, keeps the results that they push."""
