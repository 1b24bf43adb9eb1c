"""Defaults: what upstream's SetDefaults functions write into an object that says nothing.

They run on every object that is decoded, in the version it was sent in, before admission and validation see it. Kinds
whose values are fixed are rules (table.py); pods and workloads are functions, for speed and for what depends on other
fields.
"""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.defaults.table import DEFAULTERS


def set_defaults(group: str, version: str, kind: str, obj: dict[str, Any]) -> None:
    """Fill in a normalised object's missing fields, in place; a kind without defaults is left as it is."""
    for default in DEFAULTERS.get((group, version, kind), ()):
        default(obj)
