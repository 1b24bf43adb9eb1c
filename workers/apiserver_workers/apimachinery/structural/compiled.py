"""CompiledSchema: everything that a schema says about values, made once for each content."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from typing import Any
from weakref import WeakValueDictionary

import orjson

from apiserver_workers.apimachinery.errors import FieldError
from apiserver_workers.apimachinery.structural import rules
from apiserver_workers.apimachinery.structural.defaulting import has_defaults
from apiserver_workers.apimachinery.structural.embedded import embedded_faults, has_embedded
from apiserver_workers.apimachinery.structural.list_types import has_list_types, list_type_faults
from apiserver_workers.apimachinery.structural.model import Schema, structural_of
from apiserver_workers.apimachinery.structural.ratcheting import Correlated
from apiserver_workers.apimachinery.structural.result import NO_PATH
from apiserver_workers.apimachinery.structural.rules import Findings, RuleNode, rule_tree, run_rules
from apiserver_workers.apimachinery.structural.values import Node
from apiserver_workers.apimachinery.validation.field import invalid

Faults = list[FieldError]

NEWEST = 36
# Faults after which no rule runs: rules may rely on what they say is not so.
BLOCKING = frozenset(
    (
        *("FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany"),
        "FieldValueTypeInvalid",
    )
)
NOT_CHECKED = (
    "some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation"
)


class CompiledSchema:
    """The schema of one version. `minor` is the version of Kubernetes whose formats count.

    Raises StructuralError. What only some schemas need is made when it is needed first.
    """

    def __init__(self, schema: Schema, minor: int = NEWEST) -> None:
        self.structural = structural_of(schema)
        self._schema = schema
        self._minor = minor
        self.has_defaults = has_defaults(self.structural)
        self._embeds = has_embedded(self.structural)
        self._has_list_types = has_list_types(self.structural)

    @functools.cached_property
    def _values(self) -> Node:
        return Node(self._schema, self._minor)

    @functools.cached_property
    def _status(self) -> Node | None:
        status = (self._schema.get("properties") or {}).get("status")
        return None if status is None else Node(status, self._minor)

    @functools.cached_property
    def _rules(self) -> RuleNode | None:
        return rule_tree(self.structural)

    @property
    def has_rules(self) -> bool:
        """Whether the schema has rules; they are compiled when they are needed first."""
        return rules.has_rules(self.structural)

    def prepare(self) -> None:
        """Make everything now, as in a thread: takes about 0.3 ms for each rule."""
        _ = self._values, self._status, self._rules

    def value_faults(self, new: Any, correlated: Correlated | None = None) -> Faults:
        """What the schema says against an object; faults of what did not change are forgiven."""
        if self._values.fits(new):
            return []
        return self._values.look(new, "", correlated).faults

    def status_faults(self, new: Any, correlated: Correlated | None = None) -> Faults:
        """The same of an object's status alone."""
        if self._status is None or self._status.fits(new):
            return []
        faults = self._status.look(new, "", correlated).faults
        return [FieldError(one.reason, _below("status", one.field), one.body) for one in faults]

    def shape_faults(self, new: Any, old: Any = None, *, embedded: bool = True) -> Faults:
        """Embedded objects, and lists of type set and map; lists that were wrong before may stay so."""
        faults = embedded_faults(new, self.structural) if self._embeds and embedded else []
        if self._has_list_types and (old is None or not list_type_faults(old, self.structural)):
            faults += list_type_faults(new, self.structural)
        return faults

    def rule_findings(
        self,
        faults: Sequence[FieldError],
        new: Any,
        old: Any = None,
        *,
        correlated: Correlated | None = None,
        soft: int | None = None,
    ) -> Findings:
        """What the rules find, after `faults` were found. Raises TooLong above `soft` units: run again without, off the loop."""
        if not self.has_rules:
            return Findings([], [])
        if any(fault.reason in BLOCKING for fault in faults):
            return Findings([invalid(NO_PATH, None, NOT_CHECKED)], [])
        tree = self._rules
        return Findings([], []) if tree is None else run_rules(tree, new, old, correlated=correlated, soft=soft)

    def correlate(self, new: Any, old: Any) -> Correlated:
        """An object beside what it was, for one validation."""
        return Correlated(new, old, self.structural)

    def correlate_status(self, new: Any, old: Any) -> Correlated | None:
        """A status beside what it was."""
        schema = self.structural.properties.get("status")
        return None if schema is None else Correlated(new, old, schema)


def _below(prefix: str, path: str) -> str:
    return prefix if path == NO_PATH else f"{prefix}.{path}"


_made: WeakValueDictionary[tuple[bytes, int], CompiledSchema] = WeakValueDictionary()


def compiled_schema(schema: Schema, minor: int = NEWEST) -> CompiledSchema:
    """The one CompiledSchema of a content: it lives as long as somebody uses it. Raises StructuralError."""
    try:
        key = hashlib.sha256(orjson.dumps(schema, option=orjson.OPT_SORT_KEYS)).digest(), minor
    except TypeError:
        structural_of(schema)  # says that it is too deep
        raise
    found = _made.get(key)
    if found is None:
        found = _made[key] = CompiledSchema(schema, minor)
    return found
