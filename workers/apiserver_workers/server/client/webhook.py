"""Reviews by webhooks: an object out, the same kind of object back (k8s.io/apiserver/pkg/util/webhook).

What looks like a passing fault is tried again, each time after a longer wait.
"""

from __future__ import annotations

import asyncio
import base64
import random
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import orjson

from apiserver_workers.server.client.http import TIMEOUT, ClientError, Headers, HttpClient, Reply
from apiserver_workers.server.client.kubeconfig import ClientConfig
from apiserver_workers.server.tls.watched_files import WatchedFiles

RETRIED = frozenset({429, 500, 504})
JSON_HEADERS = (("Content-Type", "application/json"), ("Accept", "application/json"))
MAX_TEXT = 2048

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often to try, and how long to wait before the second time; each further wait is `factor` times longer."""

    initial: float = 0.5
    factor: float = 1.5
    jitter: float = 0.2
    steps: int = 5

    def waits(self) -> list[float]:
        """The waits between the tries."""
        return [
            self.initial * self.factor**step * (1 + random.random() * self.jitter) for step in range(self.steps - 1)
        ]


class WebhookError(Exception):
    """The webhook gave no review. `status` is its HTTP status, 0 if it did not answer; `retry` that it may yet."""

    def __init__(self, message: str, *, status: int = 0, retry: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.retry = retry


class Webhook:
    """One remote service that reviews objects."""

    def __init__(self, config: ClientConfig, *, timeout: float = TIMEOUT, backoff: Backoff = Backoff()) -> None:
        """Raises OSError or ValueError for certificates that cannot be read."""
        self._client = HttpClient(config.tls)
        self._url = _with_timeout(config.url, timeout)
        self._config = config
        self._token_file = WatchedFiles([config.token_file], bytes.decode) if config.token_file else None
        self._timeout = timeout
        self._backoff = backoff

    async def review(self, obj: Object) -> Object:
        """The webhook's answer to the object. Raises WebhookError when it gives none, also not after further tries."""
        body = orjson.dumps(obj)
        for wait in self._backoff.waits():
            try:
                return await self._once(obj, body)
            except WebhookError as error:
                if not error.retry:
                    raise
            await asyncio.sleep(wait)
        return await self._once(obj, body)

    def close(self) -> None:
        self._client.close()

    async def _once(self, obj: Object, body: bytes) -> Object:
        headers = (*JSON_HEADERS, *self._credentials())
        try:
            reply = await self._client.request("POST", self._url, body=body, headers=headers, timeout=self._timeout)
        except ClientError as error:
            raise WebhookError(str(error), retry=error.reset) from None
        if not 200 <= reply.status < 300:
            retry = reply.status in RETRIED or "retry-after" in reply.headers
            raise WebhookError(_fault(reply), status=reply.status, retry=retry)
        return _same_kind(reply, obj)

    def _credentials(self) -> Headers:
        config = self._config
        token = self._token_file.current().strip() if self._token_file else config.token
        if token:
            return (("Authorization", f"Bearer {token}"),)
        if config.username:
            pair = base64.b64encode(f"{config.username}:{config.password}".encode()).decode()
            return (("Authorization", f"Basic {pair}"),)
        return ()


def _with_timeout(url: str, timeout: float) -> str:
    """The URL as client-go asks it: the service is told how long anyone waits for it."""
    parts = urlsplit(url)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), ("timeout", f"{timeout:g}s")])
    return urlunsplit((parts.scheme, parts.netloc, parts.path or "/", query, ""))


def _fault(reply: Reply) -> str:
    try:
        status = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status" and status.get("message"):
        return str(status["message"])
    text = reply.body[:MAX_TEXT].decode("utf-8", "replace").strip()
    return f"the server answered with status {reply.status}" + (f": {text}" if text else "")


def _same_kind(reply: Reply, obj: Object) -> Object:
    try:
        answer = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        raise WebhookError("the answer is not JSON", status=reply.status) from None
    if not isinstance(answer, dict):
        raise WebhookError("the answer is not an object", status=reply.status)
    for field in ("kind", "apiVersion"):
        if answer.get(field) != obj[field]:
            shown = f'"{answer.get(field) or ""}" instead of "{obj[field]}"'
            raise WebhookError(f"the answer has {field} {shown}", status=reply.status)
    if not isinstance(answer.get("status") or {}, dict):
        raise WebhookError("the answer's status is not an object", status=reply.status)
    return answer
