"""A runner as programs read it: its JSON, for commands and the API alike."""

from __future__ import annotations

import msgspec

from controlplane.service.runners import RunnerHealth


def as_json(one: RunnerHealth) -> dict[str, object]:
    """Everything but keys. Times are epoch milliseconds."""
    found = one.runner
    return {
        "id": found.id,
        "name": found.name,
        "state": one.state,
        "modes": list(found.modes),
        "host": found.host,
        "instances": found.instances,
        "epoch": found.epoch,
        "instance": found.instance,
        "contested": found.contested,
        "kid": None if found.identity is None else found.identity.kid,
        "rotating": found.rotate,
        "last_seen": one.last_seen,
        "alive": [
            {
                "instance": each.id,
                "epoch": each.epoch,
                "host": each.host,
                "address": each.address,
                "agent": each.agent,
                "concurrency": each.concurrency,
                "free_slots": each.free_slots,
                "running": each.running,
                "draining": each.draining,
                "degraded": each.degraded,
                "keyset": each.keyset,
            }
            for each in one.alive
        ],
        "details": None if one.details is None else msgspec.to_builtins(one.details),
    }
