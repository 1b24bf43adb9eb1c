"""Bearer tokens that a webhook knows (k8s.io/apiserver/plugin/pkg/authenticator/token/webhook)."""

from __future__ import annotations

import logging
from typing import Any

from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authentication.interface import Audiences, AuthenticationError, Response
from apiserver_workers.server.client.webhook import Webhook, WebhookError

GROUP = "authentication.k8s.io"
VERSIONS = ("v1", "v1beta1")

log = logging.getLogger(__name__)


class WebhookTokens:
    """Asks a webhook by TokenReview. Wrap it in a TokenCache: each question costs a request."""

    def __init__(self, webhook: Webhook, version: str, api_audiences: Audiences) -> None:
        """Raises ValueError for another version than v1 and v1beta1."""
        check_version(version)
        self._webhook = webhook
        self._api_version = f"{GROUP}/{version}"
        self._api_audiences = api_audiences

    async def authenticate_token(self, token: str, audiences: Audiences | None) -> Response | None:
        wanted = self._api_audiences if audiences is None else audiences
        spec: dict[str, Any] = {"token": token} | ({"audiences": list(wanted)} if wanted else {})
        review = {"kind": "TokenReview", "apiVersion": self._api_version, "metadata": {}, "spec": spec}
        try:
            answer = await self._webhook.review(review)
        except WebhookError as error:
            log.error("Failed to make webhook authenticator request: %s", error)
            raise AuthenticationError(str(error)) from error
        return self._response(answer.get("status") or {}, wanted)

    def _response(self, status: dict[str, Any], wanted: Audiences) -> Response | None:
        common: Audiences = ()
        if wanted:
            meant_for = status.get("audiences") or self._api_audiences
            common = tuple(audience for audience in wanted if audience in meant_for)
            if not common:
                return None
        if status.get("authenticated") is not True:
            if status.get("error"):
                raise AuthenticationError(str(status["error"]))
            return None
        return Response(_user(status.get("user") or {}), common)


def check_version(version: str) -> None:
    """Raises ValueError for a version that nobody speaks."""
    if version not in VERSIONS:
        raise ValueError(
            f'unsupported authentication webhook version "{version}", supported versions are "v1", "v1beta1"'
        )


def _user(user: dict[str, Any]) -> UserInfo:
    """Raises AuthenticationError for what is no UserInfo."""
    name, uid, groups, extra = (user.get(key) for key in ("username", "uid", "groups", "extra"))
    extra, groups = extra or {}, groups or []
    sound = (
        isinstance(name or "", str)
        and isinstance(uid or "", str)
        and _is_texts(groups)
        and isinstance(extra, dict)
        and all(map(_is_texts, extra.values()))
    )
    if not sound:
        raise AuthenticationError("the webhook's answer has no valid user")
    return UserInfo(name or "", uid or "", tuple(groups), extra)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
