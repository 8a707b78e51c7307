"""One file per protocol: probe(request, door, clock, …) -> Observation. A prober records; it never judges, and never raises."""
