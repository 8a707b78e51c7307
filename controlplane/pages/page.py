"""Pages as they are declared: routes, the visit that a handler gets, and the replies that it can give. No markup, no IO."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

from multidict import MultiDict, MultiMapping

from controlplane.pages.cookies import PageCookie
from controlplane.rest.context import Context
from controlplane.rest.querynumber import number_of
from controlplane.service.principal import Principal
from controlplane.service.sessions import SessionHolder, Visitor
from worker.secret import Secret

MAX_FORM_BYTES = 64 * 1024
"""Of an ordinary form. A page that takes a definition says more."""


class Entry(Enum):
    """Persons to whom a page answers at all; what they may do there is decided by the service layer."""

    USER = "user"
    """Whoever has signed in. Others are sent to the page that asks who they are."""
    ANYBODY = "anybody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request for a page. *base* is the public URL by which it came, *prefix* its path, "" at the root.

    *by* is nobody, without a scope, where nobody has signed in; *holder* is None then. *visitor* is the connection's other end,
    *session* and *sign_on* its cookies, *csrf* a token for the forms of the page that is shown. *form* is empty but in a POST.
    *url* is the path that was asked for, below the prefix.
    """

    context: Context
    by: Principal
    prefix: str
    base: str
    url: str
    visitor: Visitor
    path: Mapping[str, str] = field(default_factory=dict)
    query: MultiMapping[str] = field(default_factory=MultiDict)
    form: MultiMapping[str] = field(default_factory=MultiDict)
    holder: SessionHolder | None = None
    session: Secret[str] | None = None
    sign_on: Secret[str] | None = None
    csrf: str = ""
    notice: str = ""

    @property
    def user(self) -> SessionHolder:
        """The holder, on a page for users."""
        assert self.holder is not None, "the page is one for users"
        return self.holder

    def number(self, name: str, default: int, *, most: int) -> int:
        """A whole number of the query, from 0 to *most*. Raises UnusableError."""
        return number_of(self.query, name, default, most=most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A template with its values. *live_seconds*: a browser without JavaScript loads it again after these; with it, the elements
    marked `data-live` are renewed in place. *connects* are origins that the page's script may ask besides our own.
    """

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    live_seconds: int | None = None
    retry_after: int | None = None
    connects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SeeOther:
    """The answer to a form that did something: *to* is a path of ours, below the prefix. *notice* is shown there, once."""

    to: str
    notice: str = ""
    cookies: tuple[PageCookie, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """The way to a site that the operator named. Never an address that a visitor brought."""

    url: str
    cookies: tuple[PageCookie, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file to be saved under *name*, which is not kept anywhere on its way."""

    name: str
    content: bytes
    content_type: str = "application/octet-stream"


PageReply = Rendered | SeeOther | Elsewhere | Download
PageHandler = Callable[[Visit], Awaitable[PageReply]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRoute:
    """*path* has aiohttp's form, `{name}` for a segment. *max_bytes* bounds the form of a POST."""

    method: Literal["GET", "POST"]
    path: str
    handler: PageHandler
    entry: Entry = Entry.USER
    max_bytes: int = MAX_FORM_BYTES


def shown(path: str, handler: PageHandler, entry: Entry = Entry.USER) -> PageRoute:
    """A page that is looked at."""
    return PageRoute(method="GET", path=path, handler=handler, entry=entry)


def sent(path: str, handler: PageHandler, entry: Entry = Entry.USER, *, max_bytes: int = MAX_FORM_BYTES) -> PageRoute:
    """A form that is sent: it changes something, and is answered with `SeeOther`, or with what is wrong with it."""
    return PageRoute(method="POST", path=path, handler=handler, entry=entry, max_bytes=max_bytes)
