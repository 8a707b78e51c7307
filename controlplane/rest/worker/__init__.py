"""The worker protocol, as docs/protocol.md says it: signed exchanges and their two endpoints. HTTP only."""
