"""Errors of storage as clients see them: the one place that maps them (k8s.io/apiserver/pkg/registry/generic storeerr)."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery import errors
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.integers import is_digits, natural
from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.storage.interface import Compacted, FutureRevision, StorageError, Unavailable

MAX_DIGITS = 400  # leading zeros among them
MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"
TOO_OLD = "The resourceVersion for the provided list is too old."
CONTINUE_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


class ContinueExpired(ApiError):
    """410 for a continue token, with a token that goes on inconsistently."""

    def __init__(self, token: str) -> None:
        super().__init__(410, "Expired", CONTINUE_TOO_OLD)
        self.token = token

    @property
    def status(self) -> dict[str, Any]:
        return {**super().status, "metadata": {"continue": self.token}}


def interpret(error: StorageError, info: ResourceInfo, verb: str, revision: int = 0) -> ApiError:
    """The Status error for what storage raised while doing `verb`; `revision` is the one that was asked for."""
    match error:
        case ApiError():
            return error
        case Compacted():
            return errors.resource_expired(TOO_OLD)
        case FutureRevision():
            return too_large_resource_version(revision, error.current)
        case Unavailable() if verb in ("get", "list", "watch"):
            return errors.server_timeout(info.resource, info.group, verb, 1)
        case Unavailable():
            return errors.timeout("request did not complete within the allotted timeout", 0)
    return ApiError(500, "", str(error))


def too_large_resource_version(asked: int, current: int) -> ApiError:
    """504: a revision that does not exist yet."""
    error = errors.timeout(f"Too large resource version: {asked}, current: {current}", 1)
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    error.details = {"causes": [cause], "retryAfterSeconds": 1}
    return error


def parse_uint_error(text: str) -> str:
    """What strconv.ParseUint says about `text`."""
    kind = "value out of range" if is_digits(text) else "invalid syntax"
    return f'strconv.ParseUint: parsing "{text}": {kind}'


def parse_revision(text: str) -> int:
    """A resourceVersion as a number, 0 for none. Raises ValueError with Go's text."""
    if not text:
        return 0
    number = natural(text)
    if number is None:
        raise ValueError(parse_uint_error(text))
    return number


def unreadable_revision(text: str) -> ApiError:
    """500: the resourceVersion of a GET or watch is no number."""
    return ApiError(500, "", f'resourceVersion: Invalid value: "{text}": {parse_uint_error(text)}')
