"""Decoding and encoding: bodies of requests to objects as the real server would write them, and back.

The fast path decodes JSON, runs one normalising pass and counts keys; only when one of them notices something does a
second look say what it is. Every failure has upstream's message.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from apiserver_workers.apimachinery.codec.decoder import GroupVersionKind, decode, from_json, from_yaml
from apiserver_workers.apimachinery.codec.jsontext import DecodeError
from apiserver_workers.apimachinery.codec.normal import normalise
from apiserver_workers.apimachinery.codec.yamltext import load_yaml

__all__ = [
    "DecodeError",
    "GroupVersionKind",
    "decode",
    "encode",
    "from_json",
    "from_yaml",
    "load_yaml",
    "normalise",
]

_FIRST = ("kind", "apiVersion", "metadata")


def encode(obj: dict[str, Any]) -> bytes:
    """The object as JSON, with kind, apiVersion and metadata first."""
    ordered = {key: obj[key] for key in _FIRST if key in obj}
    ordered.update(obj)
    try:
        return orjson.dumps(ordered)
    except orjson.JSONEncodeError:
        # Nested deeper than orjson writes.
        return json.dumps(ordered, ensure_ascii=False, separators=(",", ":")).encode()
