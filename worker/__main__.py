"""`python -m worker` is `synthetics-worker`."""

from worker.cli import main

main()
