"""Conversion webhooks: a ConversionReview sent to the server that a definition names."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.custom.conversion import Ask, ReviewFailed
from apiserver_workers.apimachinery.custom.definition import converts_by_webhook
from apiserver_workers.apimachinery.custom_kind import no_webhook
from apiserver_workers.server.client.hooks import HookClients, HookError

Object = dict[str, Any]

TIMEOUT = 30.0


def webhook_of(definition: Object, clients: HookClients) -> Ask:
    """What sends reviews to the definition's webhook."""
    if not converts_by_webhook(definition):
        return no_webhook
    config = definition["spec"]["conversion"]["webhook"].get("clientConfig") or {}

    async def ask(review: bytes) -> bytes:
        try:
            return await clients.post(config, review, timeout=TIMEOUT)
        except HookError as error:
            raise ReviewFailed(str(error)) from None

    return ask
