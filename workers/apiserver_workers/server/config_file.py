"""Configuration files of Kubernetes' kinds, such as AuthenticationConfiguration: read strictly, by a table of fields.

A shape is a type (str, bool, float for a duration, object for anything), a list of one shape, or a dict of shapes by
field name. What a file leaves out is left out of the result.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from apiserver_workers.apimachinery.errors import FieldError

Shape = Any

NAMES = {str: "string", bool: "boolean", float: "duration", int: "number"}
UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


def decode_config(content: bytes, *, group: str, versions: Sequence[str], kind: str, shape: Shape) -> dict[str, Any]:
    """The document, YAML or JSON. Raises ValueError that says what is wrong with it, but not what stands in it."""
    document = load_document(content)
    if document is None:
        raise ValueError("empty config data")
    return decode_document(document, {f"{group}/{version}": kind for version in versions}, shape)


def load_document(content: bytes) -> Any:
    """What YAML or JSON says. Raises ValueError that says what is wrong with it, but not what stands in it."""
    try:
        return yaml.load(content, _UniqueKeys)
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", "") or "no YAML"
        raise ValueError(f"line {mark.line + 1}: {problem}" if mark else problem) from None


def decode_document(document: Any, kinds: Mapping[str, str], shape: Shape) -> dict[str, Any]:
    """The document as an object of one of `kinds`, by apiVersion. Raises ValueError."""
    if not isinstance(document, dict):
        raise ValueError("not an object")
    kind, api_version = document.get("kind"), document.get("apiVersion")
    if kinds.get(api_version or "") != kind or kind is None:
        wanted = " or ".join(kinds)
        expected = " or ".join(dict.fromkeys(kinds.values()))
        raise ValueError(
            f"expected kind {expected} of {wanted}, got kind {kind!r} of {api_version!r}".replace("'", '"')
        )
    faults: list[str] = []
    found = _decode(document, {"apiVersion": str, "kind": str, **shape}, "", faults)
    if faults:
        raise ValueError("strict decoding error: " + ", ".join(faults))
    return found


class _UniqueKeys(yaml.CSafeLoader):
    """A loader that takes no key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f'key "{key.value}" already set in map', problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _decode(value: Any, shape: Shape, path: str, faults: list[str]) -> Any:
    if isinstance(shape, dict):
        return _object(value, shape, path, faults)
    if isinstance(shape, list):
        if not isinstance(value, list):
            return _mismatch(path, "array", faults)
        return [_decode(item, shape[0], f"{path}[{index}]", faults) for index, item in enumerate(value)]
    if shape is object:
        return value
    if shape is float:
        seconds = parse_duration(value) if isinstance(value, str) else None
        return _mismatch(path, NAMES[float], faults) if seconds is None else seconds
    if not isinstance(value, shape) or (shape is int and isinstance(value, bool)):
        return _mismatch(path, NAMES[shape], faults)
    return value


def _object(value: Any, shape: dict[str, Shape], path: str, faults: list[str]) -> Any:
    if not isinstance(value, dict):
        return _mismatch(path, "object", faults)
    found = {}
    for name, item in value.items():
        inner = f"{path}.{name}" if path else str(name)
        if name not in shape:
            faults.append(f'unknown field "{inner}"')
        elif item is not None:
            found[name] = _decode(item, shape[name], inner, faults)
    return found


def _mismatch(path: str, wanted: str, faults: list[str]) -> None:
    faults.append(f"{path} must be of type {wanted}")


def parse_duration(text: str) -> float | None:
    """Go's durations (1h30m, 250ms, 0) in seconds, None for what is none."""
    sign, rest = (-1, text[1:]) if text[:1] == "-" else (1, text.removeprefix("+"))
    if rest == "0":
        return 0.0
    parts = DURATION_PART.findall(rest)
    if not parts or "".join(number + unit for number, unit in parts) != rest:
        return None
    return sign * sum(float(number) * UNITS[unit] for number, unit in parts)


def aggregated(faults: Iterable[FieldError | str]) -> str:
    """Faults as one message: one alone, several in brackets, "" for none (ErrorList.ToAggregate)."""
    texts = list(dict.fromkeys(map(str, faults)))
    return texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]" if texts else ""
