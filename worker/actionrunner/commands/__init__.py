"""The commands of the runner: one module each."""
