"""Checks that flags share. Each takes the flag's name and value and yields messages in upstream's form."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from apiserver_supervisor.options.flag import AUTO

Validator = Callable[[str, Any], Iterator[str]]

AUTHORIZATION_MODES = ("AlwaysAllow", "AlwaysDeny", "ABAC", "Webhook", "RBAC", "Node")
TLS_VERSIONS = ("VersionTLS10", "VersionTLS11", "VersionTLS12", "VersionTLS13")
SEVERITIES = ("0", "1", "2", "3", "INFO", "WARNING", "ERROR", "FATAL")
ETCD_SCHEMES = ("http", "https", "unix", "unixs")


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


def insecure_port(name: str, value: int) -> Iterator[str]:
    """The upper bound is upstream's."""
    if not 0 <= value <= 65335:
        yield f"--{name} {value} must be between 0 and 65335, inclusive. 0 for turning off insecure (HTTP) port"


def readable(name: str, value: str | tuple[str, ...]) -> Iterator[str]:
    """Every file named exists and can be read."""
    for path in (value,) if isinstance(value, str) else value:
        if not path:
            continue
        try:
            with open(path, "rb"):
                pass
        except (OSError, ValueError) as error:
            yield f"--{name}: {path}: {reason(error)}"


def reason(error: Exception) -> str:
    """What an operating system's error says, without its number."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


def one_of(*choices: str) -> Validator:
    """The value, or every one of several, is among the choices."""

    def check(name: str, value: str | tuple[str, ...]) -> Iterator[str]:
        for item in (value,) if isinstance(value, str) else value:
            if item not in choices:
                yield f'--{name}: "{item}" is not one of {", ".join(c for c in choices if c)}'

    return check


def etcd_urls(name: str, value: tuple[str, ...]) -> Iterator[str]:
    for url in value:
        if urlsplit(url).scheme not in ETCD_SCHEMES or not re.match(r"\w+:(//)?.", url):
            yield f'--{name}: "{url}" is not a URL such as https://127.0.0.1:2379'


def etcd_overrides(name: str, value: tuple[str, ...]) -> Iterator[str]:
    """Upstream: EtcdOptions.Validate."""
    for override in value:
        resource, *servers = override.split("#")
        if len(servers) != 1 or len(resource.split("/")) != 2:
            yield f"--{name} invalid, must be of format: group/resource#servers, where servers are URLs, semicolon separated: {override}"
        elif not all(servers[0].split(";")):
            yield f"--{name} invalid, server URL is empty: {override}"
        else:
            yield from etcd_urls(name, tuple(servers[0].split(";")))


def watch_cache_sizes(name: str, value: tuple[str, ...]) -> Iterator[str]:
    """Upstream: ParseWatchCacheSizes."""
    for entry in value:
        resource, *sizes = entry.split("#")
        if len(sizes) != 1 or not resource:
            yield f"--{name}: invalid value of watch cache size: {entry}, must be resource[.group]#size"
        elif not re.fullmatch(r"-?\d+", sizes[0]):
            yield f"--{name}: invalid size of watch cache size: {entry}"
        elif int(sizes[0]) < 0:
            yield f"--{name}: watch cache size cannot be negative: {entry}"


def storage_versions(name: str, value: str) -> Iterator[str]:
    for entry in value.split(",") if value else ():
        if not re.fullmatch(r"(?:[^=/]*=)?(?:[^=/]+/)?v\d\w*", entry.strip()):
            yield f'--{name}: "{entry}" is not group/version or group=group/version'


def cors_origins(name: str, value: tuple[str, ...]) -> Iterator[str]:
    for pattern in value:
        if not pattern:
            yield f"empty value in --{name}"
            continue
        try:
            re.compile(pattern)
        except re.error as error:
            yield f"--{name}: {pattern!r} is not a regular expression: {error}"
        if "^" not in pattern and "//" not in pattern:
            yield f"--{name}: {pattern!r} does not pin the start of the host name, use ^ or //"
        if "$" not in pattern and ":" not in pattern.replace("://", ""):
            yield f"--{name}: {pattern!r} does not pin the end of the host name, use $ or :"


def hsts(name: str, value: tuple[str, ...]) -> Iterator[str]:
    for directive in value:
        if not re.fullmatch(r"max-age=\d+|includeSubDomains|preload", directive):
            yield f"--{name} invalid, allowed values: max-age=expireTime, includeSubDomains, preload: {directive!r}"


def no_blanks(name: str, value: tuple[str, ...]) -> Iterator[str]:
    if any(not item.strip() for item in value):
        yield f"--{name}: empty value in list"


def cipher_suites(name: str, value: tuple[str, ...]) -> Iterator[str]:
    """Names that Go knows; which of them OpenSSL offers is another question."""
    if not value:
        return
    from apiserver_workers.server.tls.contexts import CIPHERS, TLS13_SUITES

    for suite in value:
        if suite not in CIPHERS and suite not in TLS13_SUITES:
            yield f"--{name}: Cipher suite {suite} not supported or doesn't exist"


def curves(name: str, value: tuple[int, ...]) -> Iterator[str]:
    if value:
        from apiserver_workers.server.tls.contexts import curve_fault  # loads the TLS library

        if fault := curve_fault(value):
            yield f"--{name}: {fault}"


def previous_minor(name: str, value: str) -> Iterator[str]:
    if value and value != "1.35":
        yield f'--{name} must be omitted or have the value "1.35". Only the previous minor version is allowed'


def label_keys(name: str, value: dict[str, str]) -> Iterator[str]:
    for key in value:
        if not re.fullmatch(r"[a-zA-Z_:][\w:]*,[a-zA-Z_]\w*", key):
            yield f"--{name}: {key!r} is not metric,label"


def metric_names(name: str, value: tuple[str, ...]) -> Iterator[str]:
    for metric in value:
        if not re.fullmatch(r"[a-zA-Z_:][\w:]*", metric):
            yield f'--{name}: "{metric}" is not the name of a metric'


def log_modules(name: str, value: tuple[str, ...]) -> Iterator[str]:
    for entry in value:
        if not re.fullmatch(r"[^=]+=\d+", entry):
            yield f'--{name}: "{entry}" is not module=N'


def severity(name: str, value: str) -> Iterator[str]:
    if value.upper() not in SEVERITIES:
        yield f'--{name}: "{value}" is not a severity, {", ".join(SEVERITIES[4:])}'


def instance_name(name: str, value: str) -> Iterator[str]:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", value):
        yield f'--{name}: "{value}" may hold letters, digits, "-", "_" and ".", at most 63 of them'


def creatable_folder(name: str, value: str) -> Iterator[str]:
    """The folder is there and writable, or can be made."""
    if not value:
        return
    if "\0" in value:
        yield f"--{name}: the path has a NUL byte"
        return
    path = os.path.abspath(value)
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    if not os.path.isdir(path):
        yield f"--{name}: {path} is not a folder"
    elif not os.access(path, os.W_OK | os.X_OK):
        yield f"--{name}: {path}: {_why_not_writable(path)}"


def _why_not_writable(path: str) -> str:
    """What keeps this process from writing into a folder that is there."""
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return "read-only file system"
    return "permission denied"


def socket_path(name: str, value: str) -> Iterator[str]:
    if value:
        yield from creatable_folder(name, os.path.dirname(os.path.abspath(value)))
        if len(os.fsencode(value)) > 107:
            yield f"--{name}: {value} is too long for a Unix socket"


def quantity(name: str, value: str) -> Iterator[str]:
    """The value is a Kubernetes quantity that is not negative."""
    from apiserver_workers.apimachinery.quantity import parse  # few need it

    try:
        negative = parse(value).nano < 0
    except ValueError as error:
        yield f'--{name}: "{value}": {error}'
        return
    if negative:
        yield f"--{name} can not be negative value"
