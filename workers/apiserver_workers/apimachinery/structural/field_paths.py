"""The fieldPath of a rule: fields and keys that the schema has (schema/cel/validation.go: ValidFieldPath)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from apiserver_workers.apimachinery.structural.model import Structural
from apiserver_workers.apimachinery.validation.field import join, key

_TOKEN = re.compile(r"'(?:[^\\]|\\.)*?(?<!\\)'|[.\[\]]|[^.\[\]']+|'.*", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "'": "'", "\\": "\\"}

NOT_A_FIELD = "does not refer to a valid field"
UNEXPECTED_END = "unexpected end of JSON path"


class FieldPathError(ValueError):
    """The path leads nowhere; the text is upstream's."""


def field_path(text: str, schema: Structural, *, arrays: bool = True) -> tuple[str, Structural]:
    """The path as messages show it, and the schema that it leads to. Raises FieldPathError.

    `arrays`: names in brackets are allowed.
    """
    tokens = iter(_TOKEN.findall(text))
    path = ""
    for token in tokens:
        if token == ".":
            name = _next(tokens)
        elif token == "[":
            if not arrays:
                raise FieldPathError("array notation is not allowed")
            name = _quoted(_next(tokens))
        else:
            raise FieldPathError(f"expected [ or . but got: {token}")
        path, schema = _step(path, schema, name)
        if token == "[" and (closing := _next(tokens)) != "]":
            raise FieldPathError(f"expected ] but got {closing}")
    return path, schema


def _next(tokens: Iterator[str]) -> str:
    for token in tokens:
        return token
    raise FieldPathError(UNEXPECTED_END)


def _quoted(token: str) -> str:
    if len(token) < 2 or token[0] != "'" or token[-1] != "'":
        raise FieldPathError(f"expected single quoted string but got {token}")
    return _ESCAPE.sub(_unescaped, token[1:-1])


def _unescaped(found: re.Match[str]) -> str:
    if found[1] not in _ESCAPES:
        raise FieldPathError(f"invalid string literal: invalid escape char {found[0]}")
    return _ESCAPES[found[1]]


def _step(path: str, schema: Structural, name: str) -> tuple[str, Structural]:
    if schema.properties:
        if name not in schema.properties:
            raise FieldPathError(NOT_A_FIELD)
        return join(path, name), schema.properties[name]
    if schema.additional is None:
        raise FieldPathError(NOT_A_FIELD)
    return key(path, name), schema.additional
