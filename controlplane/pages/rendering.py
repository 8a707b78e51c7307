"""Replies as HTTP: templates with what every page shows around them, redirections below the prefix, files to be saved."""

from __future__ import annotations

import gzip
from typing import Any
from urllib.parse import quote

from aiohttp import web

from controlplane.pages import assets, cookies, csrf
from controlplane.pages.cookies import PageCookie
from controlplane.pages.headers import PAGE, SECURITY, connecting
from controlplane.pages.navigation import entries
from controlplane.pages.page import Download, Elsewhere, PageReply, Rendered, SeeOther, Visit

_LEVEL = 5
"""Of compression: a middle one, since pages are made on the one loop."""

NOTICE_SECONDS = 60
"""A notice for a page that is never loaded is forgotten."""


def response(reply: PageReply, visit: Visit, request: web.Request) -> web.Response:
    """Make the response to a request."""
    match reply:
        case Rendered():
            return rendered(reply, visit, request)
        case SeeOther():
            return _redirection(reply, visit, request)
        case Elsewhere():
            return _with_cookies(web.Response(status=303, headers={**PAGE, "Location": reply.url}), reply, request)
        case Download():
            return _download(reply)


def _redirection(reply: SeeOther, visit: Visit, request: web.Request) -> web.Response:
    response = web.Response(status=303, headers={**PAGE, "Location": visit.prefix + reply.to})
    if reply.notice:
        notice = PageCookie(
            name=cookies.NOTICE, value=quote(reply.notice[: cookies.MAX_NOTICE]), seconds=NOTICE_SECONDS
        )
        cookies.put(response, request, notice)
    return _with_cookies(response, reply, request)


def _with_cookies(response: web.Response, reply: SeeOther | Elsewhere, request: web.Request) -> web.Response:
    for cookie in reply.cookies:
        cookies.put(response, request, cookie)
    return response


def rendered(page: Rendered, visit: Visit, request: web.Request) -> web.Response:
    """Make a page of its template."""
    from controlplane.pages.environment import environment, hidden  # noqa: PLC0415 - the first page alone imports it

    text = (
        environment()
        .get_template(page.template)
        .render(_around(page, visit), csrf_field=hidden(csrf.FIELD, visit.csrf), **page.values)
    )
    headers = dict(PAGE)
    if page.retry_after is not None:
        headers["Retry-After"] = str(page.retry_after)
    if page.connects:
        headers["Content-Security-Policy"] = connecting(page.connects)
    body = text.encode()
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        headers |= {"Content-Encoding": "gzip", "Vary": f"{headers['Vary']}, Accept-Encoding"}
        body = gzip.compress(body, _LEVEL, mtime=0)
    response = web.Response(status=page.status, body=body, content_type="text/html", charset="utf-8", headers=headers)
    if visit.notice:
        cookies.put(response, request, PageCookie(name=cookies.NOTICE, value=None))
    return response


def _around(page: Rendered, visit: Visit) -> dict[str, Any]:
    """The values that base.html needs beside those of the page."""
    return {
        "link": lambda path: visit.prefix + path,
        "asset": lambda name: visit.prefix + assets.address(name),
        "navigation": entries(visit.by),
        "here": visit.url,
        "holder": visit.holder,
        "notice": visit.notice,
        "live_seconds": page.live_seconds,
    }


def _download(file: Download) -> web.Response:
    name = quote(file.name, safe="")  # RFC 8187 §3.2.1; a plain `filename` would need quoting of its own
    headers = {**SECURITY, "Cache-Control": "no-store", "Content-Disposition": f"attachment; filename*=UTF-8''{name}"}
    return web.Response(body=file.content, content_type=file.content_type, headers=headers)
