"""The runner protocol over HTTP: enrolment, keysets, and exchanges that are proven and signed. HTTP only."""
