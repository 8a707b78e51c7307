"""The commands besides serving: one module each, all of them over the same parts as the worker."""
