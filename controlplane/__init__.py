"""What workers pull from and push to: schedules tests, leases jobs, keeps results. A separate process from the worker."""
