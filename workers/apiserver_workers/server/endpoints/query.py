"""Query parameters as Go decodes them into option structs (k8s.io/apimachinery/pkg/conversion/queryparams)."""

from __future__ import annotations

from apiserver_workers.apimachinery.errors import bad_request
from apiserver_workers.apimachinery.integers import has_sign_and_digits, signed


def text(query: dict[str, list[str]], name: str) -> str:
    values = query.get(name)
    return values[0] if values else ""


def flag(query: dict[str, list[str]], name: str) -> bool | None:
    """None when absent; everything but "false" and "0" is true, the empty value too."""
    values = query.get(name)
    return None if not values else values[0].lower() not in ("false", "0")


def integer(query: dict[str, list[str]], name: str) -> int | None:
    """None when absent. Raises ApiError 400 as strconv.ParseInt."""
    values = query.get(name)
    if not values:
        return None
    value = values[0]
    number = signed(value)
    if number is None:
        fault = "value out of range" if has_sign_and_digits(value) else "invalid syntax"
        raise bad_request(f'strconv.ParseInt: parsing "{value}": {fault}')
    return number
