"""The commands of the runner: one module each. They order nothing and carry nothing out: only `serve` does."""
