"""What deploys the worker, run for real: images, manifests, the figures that a Prometheus reads."""
