"""URLs: url(), isURL(), getHost() … Upstream: K/cel/library/urls.go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..failures import Failure
from ..values import Opaque
from . import costs, go_url
from .row import Row

_U = "kubernetes.URL"


class URL(Opaque):
    """kubernetes.URL"""

    __slots__ = ("url",)
    type_name = _U

    def __init__(self, url: go_url.URL) -> None:
        self.url = url

    def __eq__(self, other: object) -> bool:
        return type(other) is URL and other.url.text == self.url.text

    def __hash__(self) -> int:
        return hash(self.url.text)

    def __str__(self) -> str:
        return self.url.text


def from_string(text: str) -> URL:
    """url(text). Raises Failure."""
    try:
        go_url.parse_request_uri(text)
        return URL(go_url.parse(text))
    except go_url.URLError as error:
        raise Failure(f"URL parse error during conversion from string: {error}") from None


def is_url(text: str) -> bool:
    """isURL(text)"""
    try:
        go_url.parse_request_uri(text)
    except go_url.URLError:
        return False
    return True


def _row(identifier: str, name: str, result: str, function: Callable[[URL], Any]) -> Row:
    return Row(identifier, name, (_U,), result, function, member=True, by_name=True, library="url")


ROWS: tuple[Row, ...] = (
    Row(
        "string_to_url",
        "url",
        ("string",),
        _U,
        from_string,
        static=costs.static_traverse(sized=True),
        runtime=costs.traverse_first,
        by_name=True,
        library="url",
    ),
    Row("is_url_string", "isURL", ("string",), "bool", is_url, library="url"),
    _row("url_get_scheme", "getScheme", "string", lambda url: url.url.scheme),
    _row("url_get_host", "getHost", "string", lambda url: url.url.host),
    _row("url_get_hostname", "getHostname", "string", lambda url: url.url.hostname),
    _row("url_get_port", "getPort", "string", lambda url: url.url.port),
    _row("url_get_escaped_path", "getEscapedPath", "string", lambda url: url.url.escaped_path),
    _row("url_get_query", "getQuery", "map(string, list(string))", lambda url: go_url.parse_query(url.url.query)),
)
