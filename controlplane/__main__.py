"""`python -m controlplane`."""

from controlplane.cli import main

main(prog_name="synthetics-controlplane")
