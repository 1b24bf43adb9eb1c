"""Checks that flags share. Each takes the flag's name and value and yields messages in upstream's form."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Any

from supervisor.options.flag import AUTO

Validator = Callable[[str, Any], Iterator[str]]

AUTHORIZATION_MODES = ("AlwaysAllow", "AlwaysDeny", "ABAC", "Webhook", "RBAC", "Node")
TLS_VERSIONS = ("VersionTLS10", "VersionTLS11", "VersionTLS12", "VersionTLS13")


def between(low: float, high: float) -> Validator:
    """The value lies between the two, both included."""

    def check(name: str, value: float) -> Iterator[str]:
        if not low <= value <= high:
            yield f"--{name} {value} must be between {low} and {high}, inclusive"

    return check


def not_negative(name: str, value: float) -> Iterator[str]:
    if value < 0:
        yield f"--{name} can not be negative value"


def positive(name: str, value: float) -> Iterator[str]:
    if value <= 0:
        yield f"--{name} should be a positive number, but value '{value:g}' provided"


def port(name: str, value: int | str) -> Iterator[str]:
    if value != AUTO and not 1 <= int(value) <= 65535:
        yield f"--{name} {value} must be between 1 and 65535, inclusive. It cannot be turned off with 0"


def readable(name: str, value: str | tuple[str, ...]) -> Iterator[str]:
    """Every file named exists and can be read."""
    for path in (value,) if isinstance(value, str) else value:
        if not path:
            continue
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            yield f"--{name}: {path}: {error.strerror}"


def one_of(*choices: str) -> Validator:
    """The value, or every one of several, is among the choices."""

    def check(name: str, value: str | tuple[str, ...]) -> Iterator[str]:
        for item in (value,) if isinstance(value, str) else value:
            if item not in choices:
                yield f'--{name}: "{item}" is not one of {", ".join(c for c in choices if c)}'

    return check


def authorization_modes(name: str, value: tuple[str, ...]) -> Iterator[str]:
    if not value:
        yield f"at least one {name} must be passed"
    for mode in value:
        if mode not in AUTHORIZATION_MODES:
            yield f'{name} "{mode}" is not a valid mode'
    if len(set(value)) != len(value):
        yield f"{name} {list(value)} has mode specified more than once"


def urls(name: str, value: tuple[str, ...]) -> Iterator[str]:
    for url in value:
        if not re.match(r"(https?|unix)://.", url):
            yield f'--{name}: "{url}" is not a URL such as https://127.0.0.1:2379'


def cors_origins(name: str, value: tuple[str, ...]) -> Iterator[str]:
    for pattern in value:
        if not pattern:
            yield f"empty value in --{name}"
            continue
        try:
            re.compile(pattern)
        except re.error as error:
            yield f"--{name}: {pattern!r} is not a regular expression: {error}"
        if not (pattern.startswith(("^", "//")) or "^" in pattern or "//" in pattern):
            yield f"--{name}: {pattern!r} does not pin the start of the host name, use ^ or //"
        if not ("$" in pattern or pattern.endswith(":") or ":" in pattern):
            yield f"--{name}: {pattern!r} does not pin the end of the host name, use $ or :"


def hsts(name: str, value: tuple[str, ...]) -> Iterator[str]:
    for directive in value:
        if not re.fullmatch(r"max-age=\d+|includeSubDomains|preload", directive):
            yield f"--{name}: {directive!r} is not max-age=SECONDS, includeSubDomains or preload"


def no_blanks(name: str, value: tuple[str, ...]) -> Iterator[str]:
    if any(not item.strip() for item in value):
        yield f"--{name}: empty value in list"


def admission_plugins(name: str, value: tuple[str, ...]) -> Iterator[str]:
    if not value:
        return
    from workers.admission.chain import unknown_plugins  # loads every plugin: only when asked for

    for plugin in unknown_plugins(value):
        yield f'{name} plugin "{plugin}" is unknown'


def instance_name(name: str, value: str) -> Iterator[str]:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", value):
        yield f'--{name}: "{value}" may hold letters, digits, "-", "_" and ".", at most 63 of them'


def creatable_folder(name: str, value: str) -> Iterator[str]:
    """The folder is there and writable, or can be made."""
    path = os.path.abspath(value)
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    if not os.path.isdir(path):
        yield f"--{name}: {path} is not a folder"
    elif not os.access(path, os.W_OK | os.X_OK):
        yield f"--{name}: {path}: permission denied"
