"""The control plane: schedules tests, leases jobs to workers that pull, keeps the results that they push.

It opens no connection into the network of a worker, and runs no test and no action itself.
"""
