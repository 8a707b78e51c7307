"""Addresses one after another until one can be reached; each attempt is recorded. No racing: what is measured is what
happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from worker.egress.hosts import Address, authority
from worker.net.failure import DoorError, interrupted, of_os_error
from worker.net.recorder import Recorder

T = TypeVar("T")


class UnreachableError(DoorError):
    """This one address cannot be reached; the next may do better."""


async def first_reached(
    addresses: Sequence[Address], port: int, reach: Callable[[Address], Awaitable[T]], recorder: Recorder
) -> T:
    """Return what *reach* returns for the first address for which it does not raise OSError or UnreachableError.

    Each of several addresses has its share of the time that is left, the last one all of it, which the caller bounds.
    Raises DoorError for the last address that failed.
    """
    last = len(addresses)
    for position, address in enumerate(addresses, start=1):
        began = recorder.now_ns()
        try:
            if position == last:
                reached = await reach(address)
            else:
                async with recorder.limit(recorder.remaining() / (last - position + 1)):
                    reached = await reach(address)
        except (OSError, DoorError, asyncio.CancelledError) as error:
            failure = _failure(error, address, port)
            recorder.attempted(address, port, began, failure.failure.message)
            if position == last or not isinstance(error, OSError | UnreachableError):
                raise (failure if isinstance(error, OSError) else error) from None
        else:
            recorder.attempted(address, port, began)
            return reached
    raise AssertionError("no address was given")


def _failure(error: BaseException, address: Address, port: int) -> DoorError:
    if isinstance(error, DoorError):
        return error
    peer = authority(address, port)
    if isinstance(error, OSError):
        return DoorError(of_os_error(error, peer))
    return DoorError(interrupted(peer))
