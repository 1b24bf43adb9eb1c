"""Messages that show a map tell an empty one from none, as Go does; normalised objects do not.

The difference is only in the document that the client sent or patched. It is looked up there once a write was refused.
"""

from __future__ import annotations

import re
from typing import Any

from apiserver_workers.apimachinery import codec
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.server.http.messages import Request

NOTHING, EMPTY = " value: null: ", " value: {}: "
_steps = re.compile(r"[^.\[\]]+")


def as_sent(error: ApiError, request: Request) -> ApiError:
    """The refusal of a creation or replacement, in the words that fit its body."""
    return as_patched(error, _document_of(request)) if NOTHING in error.message else error


def as_patched(error: ApiError, document: Any) -> ApiError:
    """The refusal, with `{}` in place of `null` where the document has an empty map."""
    for cause in (error.details or {}).get("causes") or ():
        message = cause.get("message", "")
        if NOTHING in message and _value(document, cause.get("field", "")) == {}:
            cause["message"] = message.replace(NOTHING, EMPTY, 1)
            told = f"{cause['field']}: {message}"
            error.message = error.message.replace(told, f"{cause['field']}: {cause['message']}")
    return error


def _document_of(request: Request) -> Any:
    """The JSON or YAML value of the body, None where it is neither."""
    try:
        return codec.from_yaml(request.body)[0]
    except ApiError:
        return None


def _value(document: Any, path: str) -> Any:
    """What stands at the path of a field, None if nothing does."""
    for step in _steps.findall(path):
        if isinstance(document, list):
            document = document[int(step)] if step.isdecimal() and int(step) < len(document) else None
        elif isinstance(document, dict):
            document = document.get(step)
        else:
            return None
    return document
