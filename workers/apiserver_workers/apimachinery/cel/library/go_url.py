"""URLs as Go's net/url reads and writes them, with its error texts."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from apiserver_workers.apimachinery.memo import memoized

from ..text import quote

_HEX = frozenset("0123456789abcdefABCDEF")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+\-.]*:", re.ASCII)
_PORT = re.compile(r":?[0-9]*|", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")
_HOST = _UNRESERVED | frozenset("!$&'()*+,;=:[]<>\"")
_PATH = _UNRESERVED | frozenset("$&+,/:;=@")
_USER = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*", re.ASCII)
# Characters that an escaped path may keep as they are (validEncoded).
_KEPT = _PATH | frozenset("!'()*[]%")


class URLError(ValueError):
    """The text is no URL; the message is Go's."""


class URL(NamedTuple):
    """The parts of a URL. `path` is unescaped, `raw_path` is set if escaping it again gives another text."""

    scheme: str
    opaque: str
    user: str
    host: str
    path: str
    raw_path: str
    query: str
    fragment: str

    @property
    def hostname(self) -> str:
        """The host without port and brackets."""
        host = self._split()[0]
        return host[1:-1] if host.startswith("[") and host.endswith("]") else host

    @property
    def port(self) -> str:
        """The port, empty if there is none."""
        return self._split()[1]

    def _split(self) -> tuple[str, str]:
        before, colon, port = self.host.rpartition(":")
        if colon and _PORT.fullmatch(colon + port) and "]" not in port:
            return before, port
        return self.host, ""

    @property
    def escaped_path(self) -> str:
        """The path as it was escaped, else escaped as Go does."""
        if self.raw_path and all(character in _KEPT for character in self.raw_path):
            return self.raw_path
        return self.path if self.path == "*" else escape_path(self.path)

    @property
    def text(self) -> str:
        """The whole URL."""
        query = f"?{self.query}" if self.query else ""
        fragment = f"#{self.fragment}" if self.fragment else ""
        scheme = f"{self.scheme}:" if self.scheme else ""
        if self.opaque:
            return f"{scheme}{self.opaque}{query}{fragment}"
        user = f"{self.user}@" if self.user else ""
        authority = f"//{user}{self.host}" if self.scheme or self.host or user else ""
        return f"{scheme}{authority}{self.escaped_path}{query}{fragment}"


def escape_path(path: str) -> str:
    """A path with what must be escaped in it."""
    return "".join(
        chr(byte) if chr(byte) in _PATH else f"%{byte:02X}" for byte in path.encode("utf-8", "surrogatepass")
    )


def _failed(text: str, message: str) -> URLError:
    return URLError(f"parse {quote(text)}: {message}")


@memoized
def parse_request_uri(text: str) -> URL:
    """An absolute URL or path, without a fragment. Raises URLError."""
    return _parse(text, text, "", request=True)


@memoized
def parse(text: str) -> URL:
    """A URL. Raises URLError."""
    rest, _, fragment = text.partition("#")
    parsed = _parse(rest, text, fragment, request=False)
    _check_escapes(text, fragment)
    return parsed


def _parse(rest: str, text: str, fragment: str, *, request: bool) -> URL:
    if _CONTROL.search(rest):
        raise _failed(text, "net/url: invalid control character in URL")
    if not rest and request:
        raise _failed(text, "empty url")
    if rest == "*":
        return URL("", "", "", "", "*", "", "", fragment)
    if rest.startswith(":"):
        raise _failed(text, "missing protocol scheme")
    match = _SCHEME.match(rest)
    scheme = match[0][:-1].lower() if match else ""
    rest, _, query = (rest[match.end() :] if match else rest).partition("?")
    if not rest.startswith("/"):
        if scheme:
            return URL(scheme, rest, "", "", "", "", query, fragment)
        _check_relative(text, rest, request)
    user = host = ""
    if rest.startswith("//") and (scheme or (not request and not rest.startswith("///"))):
        authority, slash, path = rest[2:].partition("/")
        rest = slash + path
        user, host = _authority(text, authority)
    _check_escapes(text, rest)
    path = _unescape(rest)
    raw_path = "" if escape_path(path) == rest else rest
    return URL(scheme, "", user, host, path, raw_path, query, fragment)


def _check_relative(text: str, rest: str, request: bool) -> None:
    if request:
        raise _failed(text, "invalid URI for request")
    if ":" in rest.partition("/")[0]:
        raise _failed(text, "first path segment in URL cannot contain colon")


def _authority(text: str, authority: str) -> tuple[str, str]:
    user, at, host = authority.rpartition("@")
    found = _host(text, host)
    if at and not _USER.fullmatch(user):
        raise _failed(text, "net/url: invalid userinfo")
    if at:
        _check_escapes(text, user)
    return user, found


def _host(text: str, host: str) -> str:
    if host.startswith("["):
        inside, bracket, port = host.rpartition("]")
        if not bracket:
            raise _failed(text, "missing ']' in host")
        _check_port(text, port)
        address, zone_mark, zone = inside.partition("%25")
        if zone_mark:
            return f"{address}%{_unescape(zone)}]{port}"
    elif ":" in host:
        _check_port(text, ":" + host.rpartition(":")[2])
    return _checked_host(text, host)


def _check_port(text: str, port: str) -> None:
    if port and not (port[0] == ":" and _PORT.fullmatch(port)):
        raise _failed(text, f"invalid port {quote(port)} after host")


def _checked_host(text: str, host: str) -> str:
    """In a host, only bytes beyond ASCII may be escaped, and the percent sign of a zone."""
    for index, character in enumerate(host):
        if character == "%":
            part = host[index : index + 3]
            _check_escapes(text, part)
            if int(part[1], 16) < 8 and part != "%25":
                raise _failed(text, f"invalid URL escape {quote(part)}")
        elif ord(character) < 0x80 and character not in _HOST:
            raise _failed(text, f"invalid character {quote(character)} in host name")
    return _unescape(host)


def _check_escapes(text: str, part: str) -> None:
    index = part.find("%")
    while index >= 0:
        escaped = part[index : index + 3]
        if len(escaped) < 3 or escaped[1] not in _HEX or escaped[2] not in _HEX:
            raise _failed(text, f"invalid URL escape {quote(escaped)}")
        index = part.find("%", index + 3)


def _unescape(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "replace") if "%" in text else text


def parse_query(query: str) -> dict[str, list[str]]:
    """The values of each key, in order; pairs that are not well escaped are left out."""
    found: dict[str, list[str]] = {}
    for pair in query.split("&"):
        if not pair or ";" in pair:
            continue
        key, _, value = pair.partition("=")
        try:
            _check_escapes(query, pair)
        except URLError:
            continue
        found.setdefault(_unescape(key.replace("+", " ")), []).append(_unescape(value.replace("+", " ")))
    return found
