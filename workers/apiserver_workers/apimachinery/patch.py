"""JSON patch (RFC 6902) and JSON merge patch (RFC 7386), as the API server applies them.

Both return a new document that shares every untouched part with the old one and never change their inputs: the old
document is usually the watch cache's. The deviations from the RFCs are those of evanphx/json-patch v4, which clients
have come to rely on: negative indices count from the end, `replace` of an absent member adds it, `test` of an absent
member against null passes, the first segment of a path is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

from apiserver_workers.apimachinery.errors import ApiError, bad_request, request_entity_too_large
from apiserver_workers.apimachinery.goformat import cannot_unmarshal

MAX_OPERATIONS = 10_000
MAX_COPIED_BYTES = 3 * 1024 * 1024

INDEX = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
STRING_MEMBERS = ("op", "path", "from")
MEMBERS = frozenset((*STRING_MEMBERS, "value"))


MISSING, NO_INDEX = "missing value", "invalid index referenced"
# What evanphx/json-patch says where the container is not there that an operation's path ends in.
NO_CONTAINER = {
    "add": 'add operation does not apply: doc is missing path: "{path}"',
    "remove": 'remove operation does not apply: doc is missing path: "{path}"',
    "replace": "replace operation does not apply: doc is missing path: {path}",
    "move": "move operation does not apply: doc is missing from path: {source}",
    "copy": "copy operation does not apply: doc is missing from path: {source}",
    "test": "test operation does not apply: is missing path: {path}",
}
# And where the container has no such member or element; `why` says more.
NO_PLACE = {
    "add": "error in add for path: '{path}': {why}",
    "remove": "error in remove for path: '{path}': {why}",
    "replace": "replace operation does not apply: doc is missing key: {path}: " + MISSING,
    "move": "error in move for path: '{path}': {why}",
    "copy": "error in copy for from: '{source}': {why}",
    "test": "error in test for path: '{path}': {why}",
}


class PatchError(ApiError):
    """The patch is well-formed but cannot be applied to this document: 422 without any details, as upstream.

    `why` is what evanphx/json-patch says of it, which webhooks' patches are answered with; of an operation that has failed
    at its path's container it is empty.
    """

    def __init__(self, why: str = "") -> None:
        super().__init__(422, "Invalid", "the server rejected our request due to an error in our request", {})
        self.why = why


# --- JSON patch ---------------------------------------------------------------------------------------------------


def json_patch(doc: Any, ops: Any) -> Any:
    """The document after the operations `ops` (the decoded body of the request).

    Raises ApiError: 400 when `ops` is not a list of operations, 413 when there are too many, 422 (PatchError) when one
    of them fails.
    """
    patch = _JSONPatch(doc)
    for op in _checked(ops):
        operation = OPERATIONS.get(op.get("op"))
        if operation is None:
            raise PatchError(f"Unexpected kind: {op.get('op') or 'unknown'}")
        try:
            operation(patch, op)
        except PatchError as error:
            raise PatchError(_described(op, error.why)) from None
    return patch.doc


def _described(op: dict[str, Any], why: str) -> str:
    """What is said of an operation that failed."""
    path, source = op.get("path"), op.get("from")
    if why.startswith("testing value"):
        return why
    if why:
        return NO_PLACE[op["op"]].format(path=path, source=source, why=why)
    return f"{NO_CONTAINER[op['op']].format(path=path, source=source)}: {MISSING}"


def unknown_operation_members(ops: Any) -> list[str]:
    """What strict decoding says about members that operations do not have, for fieldValidation Warn and Strict."""
    if not isinstance(ops, list):
        return []
    return [
        f'json patch unknown field "[{index}].{name}"'
        for index, op in enumerate(ops)
        if isinstance(op, dict)
        for name in op
        if name not in MEMBERS
    ]


def _checked(ops: Any) -> list[dict[str, Any]]:
    if ops is None:
        return []
    if not isinstance(ops, list):
        raise bad_request("error decoding patch: " + cannot_unmarshal(ops, "value of type []handlers.jsonPatchOp"))
    if len(ops) > MAX_OPERATIONS:
        message = f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(ops)}"
        raise request_entity_too_large(message)
    for op in ops:
        if op is None:
            raise PatchError
        if not isinstance(op, dict):
            raise bad_request("error decoding patch: " + cannot_unmarshal(op, "value of type handlers.jsonPatchOp"))
        for name in STRING_MEMBERS:
            value = op.get(name)
            if value is not None and not isinstance(value, str):
                into = f"struct field jsonPatchOp.{name} of type string"
                raise bad_request("error decoding patch: " + cannot_unmarshal(value, into))
    return ops


class _JSONPatch:
    """The document while it is patched: containers are copied the first time that something in them changes."""

    def __init__(self, doc: Any) -> None:
        self.doc = doc
        self.copied = 0
        # containers that only this patch refers to, by id; the values keep them alive, so that no id is used twice
        self.own: dict[int, Any] = {}

    def mine(self, container: Any) -> Any:
        """A copy of `container` that may be changed, or itself when it is such a copy."""
        if id(container) in self.own:
            return container
        copy = container.copy()
        self.own[id(copy)] = copy
        return copy

    def find(self, path: Any, *, change: bool) -> tuple[Any, str]:
        """The container that `path` ends in, made changeable when asked for, and the last segment."""
        segments = path.split("/") if isinstance(path, str) else ()
        if len(segments) < 2:
            raise PatchError
        if not isinstance(self.doc, dict | list):
            raise PatchError
        container = self.doc = self.mine(self.doc) if change else self.doc
        for segment in segments[1:-1]:
            child = get(container, unescape(segment))
            if not isinstance(child, dict | list):
                raise PatchError
            if change:
                copy = self.mine(child)
                if copy is not child:
                    container[_position(container, unescape(segment))] = child = copy
            container = child
        return container, unescape(segments[-1])

    def add(self, op: dict[str, Any]) -> None:
        container, key = self.find(op.get("path"), change=True)
        insert(container, key, op.get("value"))

    def remove(self, op: dict[str, Any]) -> None:
        container, key = self.find(op.get("path"), change=True)
        delete(container, key)

    def replace(self, op: dict[str, Any]) -> None:
        if op.get("path") == "":
            if not isinstance(op.get("value"), dict | list):
                raise PatchError
            self.doc = op["value"]
            return
        container, key = self.find(op.get("path"), change=True)
        container[_position(container, key)] = op.get("value")

    def move(self, op: dict[str, Any]) -> None:
        container, key = self.find(op.get("from"), change=True)
        value = get(container, key)
        delete(container, key)
        container, key = self.find(op.get("path"), change=True)
        insert(container, key, value)

    def copy(self, op: dict[str, Any]) -> None:
        container, key = self.find(op.get("from"), change=False)
        value = get(container, key)
        self.copied += len(orjson.dumps(value))
        if self.copied > MAX_COPIED_BYTES:
            raise PatchError
        # the value is now in two places, so no container may be changed in place any more
        self.own.clear()
        container, key = self.find(op.get("path"), change=True)
        insert(container, key, value)

    def test(self, op: dict[str, Any]) -> None:
        if op.get("path") == "":
            value = self.doc
        else:
            container, key = self.find(op.get("path"), change=False)
            value = get(container, key)
        if not same(value, op.get("value")):
            raise PatchError(f"testing value {op.get('path')} failed: test failed")


OPERATIONS: dict[Any, Callable[[_JSONPatch, dict[str, Any]], None]] = {
    "add": _JSONPatch.add,
    "remove": _JSONPatch.remove,
    "replace": _JSONPatch.replace,
    "move": _JSONPatch.move,
    "copy": _JSONPatch.copy,
    "test": _JSONPatch.test,
}


def unescape(segment: str) -> str:
    """A segment of a JSON pointer as the member's name."""
    if "~" not in segment:
        return segment
    return re.sub("~[01]", lambda match: "/" if match[0] == "~1" else "~", segment)


def _position(container: Any, key: str) -> Any:
    """`key` as what indexes the container: itself, or for a list the number of an existing element."""
    if isinstance(container, dict):
        return key
    if not INDEX.fullmatch(key):
        raise PatchError(_not_a_number(key))
    index = int(key)
    if not -len(container) <= index < len(container):
        raise PatchError(f"Unable to access invalid index: {index}: {NO_INDEX}")
    return index


def _not_a_number(key: str) -> str:
    return f'strconv.Atoi: parsing "{key}": invalid syntax'


def get(container: Any, key: str) -> Any:
    return container.get(key) if isinstance(container, dict) else container[_position(container, key)]


def insert(container: Any, key: str, value: Any) -> None:
    if isinstance(container, dict):
        container[key] = value
    elif key == "-":
        container.append(value)
    elif not INDEX.fullmatch(key):
        raise PatchError(f"value was not a proper array index: '{key}': {_not_a_number(key)}")
    else:
        # a negative index counts from the place behind the last element
        index, places = int(key), len(container) + 1
        if not -places <= index < places:
            raise PatchError(f"Unable to access invalid index: {index}: {NO_INDEX}")
        container.insert(index % places, value)


def delete(container: Any, key: str) -> None:
    position = _position(container, key)
    if isinstance(container, dict) and position not in container:
        raise PatchError(f"Unable to remove nonexistent key: {key}: {MISSING}")
    del container[position]


def same(left: Any, right: Any) -> bool:
    """Whether two values are the same JSON (1, 1.0 and true differ, unlike in Python)."""
    return left == right and orjson.dumps(left, option=orjson.OPT_SORT_KEYS) == orjson.dumps(
        right, option=orjson.OPT_SORT_KEYS
    )


# --- JSON merge patch ---------------------------------------------------------------------------------------------


def merge_patch(doc: Any, patch: Any) -> Any:
    """The document merged with `patch`: objects member by member, null removes, anything else replaces.

    Raises ApiError (400) when the patch is not an object.
    """
    if patch is None:
        raise bad_request("Invalid JSON Patch")
    if not isinstance(patch, dict):
        message = cannot_unmarshal(patch, "value of type map[string]interface {}")
        raise bad_request(f"error decoding patch: {message}")
    return _merge(doc, patch)


def _merge(doc: Any, patch: Any) -> Any:
    if not isinstance(doc, dict):
        return without_nulls(patch)
    if not isinstance(patch, dict):
        return patch
    merged = doc.copy()
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged


def without_nulls(value: Any) -> Any:
    """`value` without the null members of its objects, however deep."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value
