"""The classes of responses, one for each protocol."""

from __future__ import annotations

from typing import Final

from worker.apitest.observation import ProbeResponse
from worker.apitest.responses.dns import DNSAnswers
from worker.apitest.responses.http import HTTPResponse
from worker.apitest.responses.ssl import SSLResponse
from worker.apitest.responses.tcp import TCPConnection

RESPONSES: Final[tuple[type[ProbeResponse], ...]] = (HTTPResponse, TCPConnection, DNSAnswers, SSLResponse)
