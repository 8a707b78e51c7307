"""`--dumpConfig`: every option's effective value and where it came from, one aligned table, no secret in it."""

from __future__ import annotations

from collections.abc import Iterable

from worker.config.merge import Setting
from worker.config.option import ValueKind
from worker.egress.hosts import authority
from worker.egress.nameserver import Nameserver
from worker.egress.proxy import Proxy
from worker.secret import REDACTED, Secret
from worker.wire.keys import PrivateKey, PublicKey


def dump(settings: Iterable[Setting]) -> str:
    """Write the table as text. A list stands with one member a line; keys are shown by their fingerprints."""
    rows = [("OPTION", "VALUE", "FROM")]
    for setting in settings:
        first, *others = _members(setting)
        rows.append((setting.option.name, first, setting.place or "not set"))
        rows.extend(("", other, "") for other in others)
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "".join(f"{name:{widths[0]}}  {value:{widths[1]}}  {place}".rstrip() + "\n" for name, value, place in rows)


def _members(setting: Setting) -> list[str]:
    if isinstance(setting.value, tuple):
        return [_shown(setting, member) for member in setting.value] or ["-"]
    return [_shown(setting, setting.value)]


def _shown(setting: Setting, value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return str(value).lower()
        case Secret():
            return REDACTED
        case Proxy():
            return _without_credentials(value)
        case PrivateKey():
            return f"{REDACTED} {value.kid}"
        case PublicKey():
            return value.kid
        case float():
            return f"{value * 1000:.0f} ms" if setting.option.kind is ValueKind.MILLISECONDS else f"{value:.0f} s"
        case Nameserver():
            return authority(value.address, value.port)
    return str(value)


def _without_credentials(proxy: Proxy) -> str:
    return str(proxy) if proxy.username is None else str(proxy).replace("//", f"//{REDACTED}@", 1)
