"""What the expressions of a MutatingAdmissionPolicy make of an object: apply configurations and JSON patches.

Values of CEL become JSON here. The objects that are patched are never changed.

Upstream: policy/mutating/patch/smd.go, json_patch.go; apiserver/pkg/cel/mutation.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from typing import Any

from apiserver_workers.apimachinery.apply.plan import LEAF, STRUCT, KeyMissing, Node, plan
from apiserver_workers.apimachinery.apply.typed import TypedError, check, merge
from apiserver_workers.apimachinery.cel.objects import JSONPatch, ObjectValue
from apiserver_workers.apimachinery.cel.text import quote, show, timestamp
from apiserver_workers.apimachinery.cel.values import Duration, Timestamp, UInt, View, is_list, is_map, type_name
from apiserver_workers.apimachinery.goformat import type_name as go_type_name
from apiserver_workers.apimachinery.patch import PatchError, json_patch
from apiserver_workers.apimachinery.types import Type

Object = dict[str, Any]

TEST_FAILED = "failed: test failed"
LARGEST_NUMBER = 2**53 - 1  # larger integers are strings in JSON
NANOSECONDS = 10**9
WHOLE = (str, bool, int, float, UInt)


class PatchFailed(Exception):
    """The object cannot be patched so; the text is upstream's."""


# --- apply configurations -----------------------------------------------------------------------------------------


def apply_configuration(type: Type, obj: Object, value: Any) -> Object:
    """The object with what the configuration says merged into it, as by server-side apply. Raises PatchFailed."""
    mismatches = list(_mismatches(value, ["Object"]))
    if mismatches:
        raise PatchFailed("type mismatch: " + "\n".join(mismatches))
    configuration = _as_applied(value)
    if not isinstance(configuration, dict):
        raise PatchFailed("invalid return type: *dynamic.ObjectVal")
    head = {"apiVersion": obj.get("apiVersion"), "kind": obj.get("kind")}
    return _merged(plan(type), obj, {**configuration, **head})


def _merged(node: Node, obj: Object, configuration: Object) -> Object:
    try:
        _refuse_odd(configuration, "")
        check(node, configuration)
    except TypedError as error:
        raise PatchFailed(f"error applying patch: failed to convert patch object to typed object: {error}") from None
    if found := list(_atomics(node, configuration, "")):
        refused = "may not mutate atomic arrays, maps or structs: " + ", ".join(found)
        raise PatchFailed(f"error applying patch: invalid ApplyConfiguration: {refused}")
    try:
        merged: Object = merge(node, obj, configuration)
    except KeyMissing as error:
        raise PatchFailed(f"error applying patch: failed to merge patch: {error}") from None
    return merged


def _mismatches(value: Any, names: list[str]) -> Iterator[str]:
    """Objects whose type is not named as the fields are that lead to them."""
    if isinstance(value, JSONPatch):
        return
    if isinstance(value, ObjectValue):
        expected = ".".join(names)
        if value.type_name != expected:
            yield (
                f"unexpected type name {quote(value.type_name)}, expected {quote(expected)}, "
                "which matches field name path from root Object type"
            )
        for name, field in value.fields.items():
            yield from _mismatches(field, [*names, name])
    elif is_list(value):
        for item in value:
            yield from _mismatches(item, names)
    elif is_map(value) and not isinstance(value, View):
        for item in dict(value.items()).values():
            yield from _mismatches(item, names)


class Odd:
    """A value that no field takes, such as null or a duration; it is refused where it stands."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _as_applied(value: Any) -> Any:
    """A value as the merge sees it."""
    if isinstance(value, ObjectValue):
        return {name: _as_applied(field) for name, field in value.fields.items()}
    if is_list(value):
        return [_as_applied(item) for item in value]
    if is_map(value):
        return {_text_key(key): _as_applied(item) for key, item in _items(value)}
    if type(value) is UInt:
        return int(value)
    return value if type(value) in WHOLE else Odd(value)


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, View):
        return ((key, value.find(key)) for key in value)
    return iter(list(value.items()))


def _text_key(key: Any) -> str:
    if not isinstance(key, str):
        raise PatchFailed("invalid return type: *dynamic.ObjectVal")
    return key


def _refuse_odd(value: Any, path: str) -> None:
    """Raises TypedError for values that JSON of an object does not have."""
    if isinstance(value, dict):
        for name, item in value.items():
            _refuse_odd(item, f"{path}.{name}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _refuse_odd(item, f"{path}[{number}]")
    elif isinstance(value, Odd):
        raise TypedError([f"{path}: unexpected value, got {show(value.value)}"])


def _atomics(node: Node, value: Any, path: str) -> Iterator[str]:
    """The paths of what is owned as a whole: to set a part of it would take the rest away."""
    if node.kind == LEAF:
        if node.inner is None or not isinstance(value, dict | list):
            return
        yield path
        node = node.inner
        if isinstance(value, list):
            for number, item in enumerate(value):
                yield from _atomics(node, item, f"{path}[{number}]")
            return
    if isinstance(value, dict) and node.kind == STRUCT:
        for name, item in value.items():
            known = node.child(name)
            if known is not None:
                yield from _atomics(known[1], item, f"{path}.{name}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _atomics(node.element, item, f"{path}[{number}]")


# --- JSON patches -------------------------------------------------------------------------------------------------


def patched(obj: Object, operations: Any) -> Object | None:
    """The object after a list of JSONPatch values; None if a test fails. Raises PatchFailed."""
    try:
        result: Object = json_patch(obj, [_operation(operation) for operation in operations])
    except PatchError as error:
        if error.why.startswith("testing value") and error.why.endswith(TEST_FAILED):
            return None
        raise PatchFailed(f"JSON Patch: {error.why}") from None
    return result


def _operation(value: Any) -> Object:
    if not isinstance(value, JSONPatch):
        raise PatchFailed("type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch")
    fields = value.fields
    operation: Object = {"op": fields.get("op", ""), "path": fields.get("path", "")}
    if fields.get("from"):
        operation["from"] = fields["from"]
    for name, text in operation.items():
        if not isinstance(text, str):
            raise PatchFailed(f"unexpected type {go_type_name(text)} for JSONPatchType '{name}' field")
    if "value" in fields:
        operation["value"] = _patch_value(fields["value"])
    return operation


def _patch_value(value: Any) -> Any:
    if isinstance(value, ObjectValue):
        mismatches = list(_mismatches(value, value.type_name.split(".")))
        if mismatches:
            raise PatchFailed("type mismatch: " + "\n".join(mismatches))
    return _as_json(value)


def _as_json(value: Any) -> Any:
    """A value of CEL as JSON, as protocol buffers write it. Raises PatchFailed for what has no JSON."""
    kind = type(value)
    if kind is UInt or kind is int:
        return int(value) if abs(value) <= LARGEST_NUMBER else str(int(value))
    if kind is float and math.isfinite(value):
        return int(value) if value.is_integer() and abs(value) <= LARGEST_NUMBER else value
    if value is None or kind in (str, bool):
        return value
    if kind is bytes:
        return base64.b64encode(value).decode()
    if kind is Duration:
        return f"{_seconds(value.nanoseconds)}s"
    if kind is Timestamp:
        return timestamp(Timestamp(value.nanoseconds))
    if isinstance(value, ObjectValue) and not isinstance(value, JSONPatch):
        return {name: _as_json(field) for name, field in value.fields.items()}
    if is_list(value):
        return [_as_json(item) for item in value]
    if is_map(value):
        return {_json_key(key): _as_json(item) for key, item in _items(value)}
    why = f"unsupported type conversion from {type_name(value)} to JSON"
    raise PatchFailed(f"JSONPath valueExpression evaluated to a type that could not marshal to JSON: {why}")


def _seconds(nanoseconds: int) -> str:
    whole, rest = divmod(abs(nanoseconds), NANOSECONDS)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{'-' if nanoseconds < 0 else ''}{whole}{fraction}"


def _json_key(key: Any) -> str:
    return key if isinstance(key, str) else show(key)
