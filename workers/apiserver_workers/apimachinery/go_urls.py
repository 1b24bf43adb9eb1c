"""URLs as Go's net/url parses them: what it refuses, and in which words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from apiserver_workers.apimachinery.goformat import quoted

_SCHEME = re.compile("[a-zA-Z][a-zA-Z0-9+.-]*")
_USERINFO = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*")
_ESCAPE = re.compile("%[0-9a-fA-F]{2}")
_HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~!$&'()*+,;=:[]<>\"%")


@dataclass(frozen=True, slots=True)
class URL:
    """The parts of a URL as they were written; `user` is None where no `@` names one."""

    scheme: str
    user: str | None
    host: str
    path: str
    query: str
    fragment: str


def parse(text: str) -> URL:
    """url.Parse. Raises ValueError with Go's message, which quotes the URL."""
    before, _, fragment = text.partition("#")
    try:
        url = _parse(before, fragment)
    except ValueError as error:
        raise ValueError(f"parse {quoted(before)}: {error}") from None
    try:
        _check_escapes(fragment)
    except ValueError as error:
        raise ValueError(f"parse {quoted(text)}: {error}") from None
    return url


def _parse(text: str, fragment: str) -> URL:
    if any(char < " " or char == "\x7f" for char in text):
        raise ValueError("net/url: invalid control character in URL")
    scheme, rest = _split_scheme(text)
    rest, _, query = rest.partition("?")
    if not rest.startswith("/"):
        if scheme:
            return URL(scheme, None, "", "", query, fragment)
        if ":" in rest.partition("/")[0]:
            raise ValueError("first path segment in URL cannot contain colon")
    user: str | None = None
    host = ""
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, path = rest[2:].partition("/")
        rest = slash + path
        user, host = _split_authority(authority)
    _check_escapes(rest)
    return URL(scheme, user, host, rest, query, fragment)


def _split_scheme(text: str) -> tuple[str, str]:
    """The scheme in lower case, and what comes after its colon."""
    if text.startswith(":"):
        raise ValueError("missing protocol scheme")
    match = _SCHEME.match(text)
    if match is None or text[match.end() : match.end() + 1] != ":":
        return "", text
    return match[0].lower(), text[match.end() + 1 :]


def _split_authority(authority: str) -> tuple[str | None, str]:
    user, at, host = authority.rpartition("@")
    _check_host(host)
    if not at:
        return None, host
    if not _USERINFO.fullmatch(user):
        raise ValueError("net/url: invalid userinfo")
    _check_escapes(user)
    return user, host


def _check_host(host: str) -> None:
    if host.startswith("["):
        address, bracket, port = host.rpartition("]")
        if not bracket:
            raise ValueError("missing ']' in host")
        host = address
    else:
        colon = host.rfind(":")
        port = host[colon:] if colon >= 0 else ""
    if port and not re.fullmatch("(:[0-9]*)?", port):
        raise ValueError(f"invalid port {quoted(port)} after host")
    for match in re.finditer("%", host):
        escape = host[match.start() : match.start() + 3]
        if not _ESCAPE.fullmatch(escape) or (int(escape[1], 16) < 8 and escape != "%25"):
            raise ValueError(f"invalid URL escape {quoted(escape)}")
    for char in host:
        if char.isascii() and char not in _HOST_CHARACTERS:
            raise ValueError(f"invalid character {quoted(char)} in host name")


def _check_escapes(text: str) -> None:
    for match in re.finditer("%", text):
        escape = text[match.start() : match.start() + 3]
        if not _ESCAPE.fullmatch(escape):
            raise ValueError(f"invalid URL escape {quoted(escape)}")
