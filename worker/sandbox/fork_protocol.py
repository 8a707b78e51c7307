"""The protocol between a fork server and its parent, both directions.

A request is one byte, with the descriptors of the new child: its end of its connection, and the page of its position. The server
writes frames that hold a number each: LOADED, once, then for each request the new child's process id, or an errno below zero.
"""

from __future__ import annotations

import struct
import sys
from typing import Final

AVAILABLE: Final = sys.platform == "linux"
"""True where programs are forked from a server. Elsewhere neither side does anything."""

REQUEST: Final = b"\0"
DESCRIPTORS: Final = 2

NUMBER: Final = struct.Struct("=i")
LOADED: Final = 0
