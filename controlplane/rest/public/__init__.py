"""The public API, as the reference system's clients speak it: a table of routes, and the description made of it. HTTP only."""
