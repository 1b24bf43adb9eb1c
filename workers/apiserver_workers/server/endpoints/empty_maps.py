"""Messages that show a map tell an empty one from none, as Go does; normalised objects do not.

The difference is only in the document that the client sent or patched. It is looked up there once a write was refused.
"""

from __future__ import annotations

import re
from typing import Any

from apiserver_workers.apimachinery import codec
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.server.http.messages import Request

# The maps that messages show whole; what is blamed at other paths is not always the value that stands there.
MAPS = ("labels", "capacity")
NOTHING, EMPTY = " value: null: ", " value: {}: "
_steps = re.compile(r"[^.\[\]]+")


def as_sent(error: ApiError, request: Request) -> ApiError:
    """The refusal of a creation or replacement, in the words that fit its body."""
    return as_patched(error, _document_of(request)) if NOTHING in error.message else error


def as_patched(error: ApiError, document: Any) -> ApiError:
    """The refusal, with `{}` in place of `null` where the document has an empty map."""
    for cause in (error.details or {}).get("causes") or ():
        message, field = cause.get("message", ""), cause.get("field", "")
        if NOTHING in message and field.endswith(MAPS) and _value(document, field) == {}:
            cause["message"] = message.replace(NOTHING, EMPTY, 1)
            error.message = error.message.replace(f"{field}: {message}", f"{field}: {cause['message']}")
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
