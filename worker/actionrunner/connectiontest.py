"""The test of one connection by hand: its credentials are read and its `testConnection` carried out, without policy or order."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace as replaced
from typing import Final

from msgspec.structs import replace

from worker.actionrunner.credentials import read_credentials
from worker.actionrunner.redaction import SecretRemover
from worker.actions.action import ActionError, ActionFailure, ActionOutcome, ActionStatus, Order
from worker.actions.catalogue import CATALOGUE
from worker.actions.connection import ActionConnection, CredentialsError
from worker.actions.tools import Tools

SECONDS: Final = 30.0


async def check_connection(connection: ActionConnection, tools: Tools, environment: Mapping[str, str]) -> ActionOutcome:
    """Raises nothing that a connection or its service can cause. Secrets are taken out."""
    try:
        if connection.credentials is not None:
            connection = replaced(connection, secrets=read_credentials(connection.credentials, environment))
        action = CATALOGUE[f"{connection.kind}.testConnection"]
        outcome = await action.act(_order(action.name, connection.name), connection, tools)
    except CredentialsError as error:
        outcome = _failed(ActionError(code="CREDENTIALS", message=str(error)))
    except ActionFailure as failure:
        outcome = _failed(ActionError(code="ACTION", detail=failure.detail, message=str(failure)))
    remover = SecretRemover({f"{connection.name}.{name}": secret for name, secret in connection.secrets.items()})
    error_ = outcome.error
    if error_ is not None:
        error_ = replace(error_, message=remover.text(error_.message))
    return replace(outcome, outputs=remover.value(outcome.outputs), error=error_)


def _order(action: str, connection: str) -> Order:
    return Order(
        task=str(uuid.uuid4()),
        run="",
        action=action,
        connection=connection,
        input={},
        client="cli",
        caller="user/operator",
        timeout=SECONDS,
        issued_at=0,
        order_sha256="",
    )


def _failed(error: ActionError) -> ActionOutcome:
    return ActionOutcome(status=ActionStatus.FAILED, error=error)
