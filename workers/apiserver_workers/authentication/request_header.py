"""The identity that a trusted proxy states in headers (k8s.io/apiserver/.../request/headerrequest).

Only a client with a certificate of the front-proxy CA, under one of the allowed names, is believed.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authentication.certificates import CertificateVerifier
from apiserver_workers.authentication.interface import AuthenticationError, Response
from apiserver_workers.server.http.messages import Request


class RequestHeader:
    """Authenticates by --requestheader-*. Another certificate, or none, is left to the next authenticator."""

    def __init__(
        self,
        verifier: CertificateVerifier,
        *,
        allowed_names: tuple[str, ...],
        username_headers: tuple[str, ...],
        group_headers: tuple[str, ...],
        uid_headers: tuple[str, ...] = (),
        extra_prefixes: tuple[str, ...],
    ) -> None:
        self._verifier = verifier
        self._allowed_names = frozenset(allowed_names)
        self._username_headers = _lower(username_headers)
        self._group_headers = _lower(group_headers)
        self._uid_headers = _lower(uid_headers)
        self._extra_prefixes = _lower(extra_prefixes)

    async def authenticate(self, request: Request) -> Response | None:
        if not request.peer_certificates:
            return None
        headers = request.headers
        name = next((headers[header] for header in self._username_headers if headers.get(header)), "")
        if not name or not self._trusts(request.peer_certificates):
            return None
        groups = [group for header in self._group_headers for group in request.values(header) if group]
        uid = next((headers[header] for header in self._uid_headers if headers.get(header)), "")
        extra = extra_of(request, self._extra_prefixes)
        for header in [header for header in headers if self._is_identity(header)]:
            del headers[header]
        return Response(UserInfo(name, uid, tuple(groups), extra))

    def _trusts(self, peer_certificates: tuple[bytes, ...]) -> bool:
        try:
            certificate = self._verifier.verify(peer_certificates)
        except AuthenticationError:
            return False
        return not self._allowed_names or certificate.common_name in self._allowed_names

    def _is_identity(self, header: str) -> bool:
        exact = (*self._username_headers, *self._group_headers, *self._uid_headers)
        return header in exact or header.startswith(self._extra_prefixes)


def _lower(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.lower() for name in names)


def extra_of(request: Request, prefixes: Iterable[str]) -> dict[str, list[str]]:
    """A user's extra: each line of a header with such a prefix is one value of the key that follows the prefix."""
    extra: dict[str, list[str]] = {}
    for prefix in prefixes:
        for header in request.headers:
            if header.startswith(prefix):
                extra.setdefault(unescape_key(header[len(prefix) :]), []).extend(request.values(header))
    return extra


def unescape_key(key: str) -> str:
    """An extra key from a header's name: percent-encoded where a header's name may not hold a character."""
    try:
        return unquote_to_bytes(key.lower()).decode()
    except UnicodeDecodeError:
        return key.lower()
