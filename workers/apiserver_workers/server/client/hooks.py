"""Requests to webhooks by their clientConfig: of admission, and of conversion (apiserver/pkg/util/webhook/client.go).

A webhook is a URL, or a service that is found anew for each connection. Its certificate must be of its caBundle, or of the
host's authorities where there is none. Connections are kept; redirects are answers like any other, and no success.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import functools
import posixpath
from collections import OrderedDict
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import orjson

from apiserver_workers.server.client.answers import failure
from apiserver_workers.server.client.http import ClientError, Dial, Headers, HttpClient, Reply
from apiserver_workers.server.client.services import ServiceResolver, Unresolvable
from apiserver_workers.server.client.users import NOBODY, HookUser, HookUsers

Object = dict[str, Any]

MAX_CLIENTS = 200
MAX_RETRIES = 10
AGENT = "kube-apiserver-admission"
SENT = (("Accept", "application/json, */*"), ("Content-Type", "application/json"))


class HookError(Exception):
    """A webhook gave no answer, or one that is no success; `code` is its HTTP status, 0 without an answer."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class HookClient:
    """One webhook: how to reach it, and as whom."""

    http: HttpClient
    url: str
    user: HookUser
    dial: Dial | None


class HookClients:
    """The clients of all webhooks, each made when it is first asked and kept while its clientConfig is the same."""

    def __init__(self, services: ServiceResolver, users: HookUsers = NOBODY) -> None:
        self._services = services
        self._users = users
        self._clients: OrderedDict[bytes, HookClient] = OrderedDict()

    async def post(self, config: Object, body: bytes, *, timeout: float) -> bytes:
        """The body of the answer. `config` is a WebhookClientConfig. Raises HookError, in client-go's words."""
        client = self.client(config)
        deadline = monotonic() + timeout
        url = f"{client.url}?timeout={seconds_up(timeout)}s"
        for attempt in range(MAX_RETRIES + 1):
            reply = await self._once(client, url, body, deadline)
            wait = _retry_after(reply)
            if wait is None or attempt == MAX_RETRIES or monotonic() + wait >= deadline:
                break
            await asyncio.sleep(wait)
        if not 200 <= reply.status <= 206:
            raise HookError(failure(reply), reply.status)
        if not reply.body:
            kind = reply.headers.get("content-type", "")
            raise HookError(f"0-length response with status code: {reply.status} and content type: {kind}")
        return reply.body

    def close(self) -> None:
        """Close the connections that nobody uses."""
        for client in self._clients.values():
            client.http.close()
        self._clients.clear()

    def client(self, config: Object) -> HookClient:
        """The client of a clientConfig. Raises HookError."""
        key = orjson.dumps(config, option=orjson.OPT_SORT_KEYS)
        found = self._clients.get(key)
        if found is None:
            found = self._clients[key] = self._make(config)
            if len(self._clients) > MAX_CLIENTS:
                self._clients.popitem(last=False)[1].http.close()
        else:
            self._clients.move_to_end(key)
        return found

    async def _once(self, client: HookClient, url: str, body: bytes, deadline: float) -> Reply:
        headers: Headers = (*SENT, *client.user.headers)
        left = max(deadline - monotonic(), 0.0)
        try:
            return await client.http.request("POST", url, body=body, headers=headers, timeout=left, dial=client.dial)
        except ClientError as error:
            raise HookError(str(error)) from None

    def _make(self, config: Object) -> HookClient:
        service = config.get("service")
        if service is not None:
            return self._of_service(config, service)
        if not config.get("url"):
            raise HookError("webhook configuration must have either service or URL")
        try:
            parts = urlsplit(config["url"])
            port = parts.port or 443
        except ValueError as error:
            raise HookError(f"Unparsable URL: {error}") from None
        user = self._users.of(f"{parts.hostname}:{port}")
        url = f"{parts.scheme}://{parts.netloc}{cleaned(parts.path)}"
        return HookClient(_http(user, config), url, user, None)

    def _of_service(self, config: Object, service: Object) -> HookClient:
        name, namespace, port = service.get("name", ""), service.get("namespace", ""), service.get("port") or 443
        host = f"{name}.{namespace}.svc"
        user = self._users.of(f"{host}:{port}")
        if not user.tls.server_name:
            user = replace(user, tls=replace(user.tls, server_name=host))
        url = f"https://{host}:{port}{cleaned(service.get('path') or '')}"
        return HookClient(_http(user, config), url, user, functools.partial(self._dial, namespace, name, port))

    async def _dial(self, namespace: str, name: str, port: int) -> tuple[str, int]:
        try:
            return await self._services.resolve(namespace, name, port)
        except Unresolvable as error:
            raise ClientError(str(error)) from None


def _http(user: HookUser, config: Object) -> HttpClient:
    try:
        return HttpClient(user.trusting(authorities_of(config)), agent=AGENT)
    except (OSError, ValueError) as error:
        raise HookError(f"could not get REST client: {error}") from None


def authorities_of(config: Object) -> bytes:
    """The PEM of a clientConfig's caBundle. Raises ValueError."""
    try:
        return base64.b64decode(config.get("caBundle") or "", validate=True)
    except binascii.Error:
        raise ValueError("caBundle is not base64") from None


def cleaned(path: str) -> str:
    """The path as client-go asks it: without a slash at its end, or empty steps."""
    return posixpath.normpath("/" + path.lstrip("/"))


def seconds_up(timeout: float) -> int:
    """What a webhook is told of its time: whole seconds, rounded up."""
    return max(1, -int(-timeout // 1))


def _retry_after(reply: Reply) -> int | None:
    """How long to wait before the request may be sent again; None where it may not."""
    if reply.status != 429 and reply.status < 500:
        return None
    text = reply.headers.get("retry-after", "")
    return int(text) if text.isdecimal() and len(text) < 6 else None
