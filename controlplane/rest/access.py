"""The access log: one record a request, through logging, with no header and no body in it."""

from __future__ import annotations

import logging

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger


class AccessLog(AbstractAccessLogger):
    """Pulls that found nothing are one a second and worker: they are logged at debug level."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        level = logging.DEBUG if response.status in (200, 204) else logging.INFO
        if not self.logger.isEnabledFor(level):
            return
        self.logger.log(
            level,
            "%s %s %d",
            request.method,
            request.path,
            response.status,
            extra={
                "action": "request",
                "method": request.method,
                "path": request.path,
                "status": response.status,
                "remote": request.remote,
                "seconds": round(time, 6),
            },
        )
