"""Validation of values by a schema, in kube-openapi's words and order (kube-openapi/pkg/validation/validate).

A schema becomes a Node once. `Node.fits` tells quickly whether a value has faults; only for one that has, `Node.look`
goes through it again and makes texts. Which faults of alternatives (anyOf, oneOf) are shown depends on how many checks
matched, so `look` counts them as upstream does.

Upstream walks the properties of a schema in no order; here they are walked by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from apiserver_workers.apimachinery.cel.library import patterns
from apiserver_workers.apimachinery.goformat import quoted
from apiserver_workers.apimachinery.structural import result as found
from apiserver_workers.apimachinery.structural.formats import check_of, supported
from apiserver_workers.apimachinery.structural.numbers import is_json_integer, number_faults
from apiserver_workers.apimachinery.structural.ratcheting import Correlated
from apiserver_workers.apimachinery.structural.result import Result

Schema = Mapping[str, Any]

TYPES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
# What schemas say that only matters to some kinds of values.
_NUMBER_RULES = ("multipleOf", "maximum", "minimum")
INT64 = range(-(1 << 63), 1 << 63)


class Node:
    """One schema. `minor` is the version of Kubernetes whose formats count."""

    __slots__ = (
        *("types", "nullable", "format", "schema", "enum", "all_of", "any_of", "one_of", "none_of", "items"),
        *("properties", "additional", "closed", "required", "pattern", "check", "children"),
        *("list_type", "list_keys", "min_items", "max_items", "unique", "min_length", "max_length"),
        *("min_properties", "max_properties", "bounded"),
    )

    def __init__(self, schema: Schema, minor: int) -> None:
        self.schema = schema
        self.types = _types(schema)
        self.nullable = bool(schema.get("nullable"))
        single = self.types[0] if len(self.types) == 1 else ""
        text_format = schema.get("format") or ""
        if not supported(single if len(self.types) == 1 else "" if not self.types else "?", text_format, minor):
            text_format = ""
        self.format = text_format
        self.check = check_of(text_format) if text_format else None
        self.enum: Sequence[Any] = schema.get("enum") or ()
        self.all_of = _nodes(schema.get("allOf"), minor)
        self.any_of = _nodes(schema.get("anyOf"), minor)
        self.one_of = _nodes(schema.get("oneOf"), minor)
        self.none_of = Node(schema["not"], minor) if schema.get("not") is not None else None
        items = schema.get("items")
        self.items = Node(items, minor) if isinstance(items, Mapping) else None
        properties = schema.get("properties") or {}
        self.properties = {name: Node(properties[name], minor) for name in sorted(properties)}
        additional = schema.get("additionalProperties")
        self.additional = Node(additional, minor) if isinstance(additional, Mapping) else None
        self.closed = additional is False
        self.required: Sequence[str] = schema.get("required") or ()
        pattern = schema.get("pattern") or ""
        self.pattern = Pattern(pattern) if pattern else None
        self.list_type = schema.get("x-kubernetes-list-type") or ""
        self.list_keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
        self.min_items, self.max_items = schema.get("minItems"), schema.get("maxItems")
        self.min_length, self.max_length = schema.get("minLength"), schema.get("maxLength")
        self.min_properties, self.max_properties = schema.get("minProperties"), schema.get("maxProperties")
        self.unique = bool(schema.get("uniqueItems"))
        self.bounded = any(schema.get(rule) is not None for rule in _NUMBER_RULES) or bool(self.format)

    # ---- whether a value fits

    def fits(self, value: Any) -> bool:
        """Whether the value has no faults."""
        kind = value.__class__
        if value is None:
            return not self._type_fault(value, "") and (not self.enum or self._in_enum(value))
        if (
            (self.types or self.format)
            and (TYPES[kind] not in self.types or self.format or (kind is int and value not in INT64))
            and self._type_fault(value, "")
        ):
            return False
        if (self.all_of or self.any_of or self.one_of or self.none_of is not None) and not self._fits_schemas(value):
            return False
        if self.enum and not self._in_enum(value):
            return False
        return _FITS[kind](self, value)

    def _fits_schemas(self, value: Any) -> bool:
        if self.any_of and not any(node.fits(value) for node in self.any_of):
            return False
        if self.one_of and sum(node.fits(value) for node in self.one_of) != 1:
            return False
        if not all(node.fits(value) for node in self.all_of):
            return False
        return self.none_of is None or not self.none_of.fits(value)

    def _fits_text(self, value: str) -> bool:
        if self.max_length is not None and len(value) > self.max_length:
            return False
        if self.min_length is not None and len(value) < self.min_length:
            return False
        if self.pattern is not None and not self.pattern.matches(value):
            return False
        return self.check is None or self.check(value)

    def _fits_number(self, value: float) -> bool:
        simple = not self.bounded and value.__class__ is int and value in INT64
        return simple or not number_faults(self._numeric(), value, "")

    def _fits_list(self, value: list[Any]) -> bool:
        items = self.items
        if items is not None and not all(map(items.fits, value)):
            return False
        if self.min_items is not None and len(value) < self.min_items:
            return False
        if self.max_items is not None and len(value) > self.max_items:
            return False
        return not self.unique or not has_duplicates(value)

    def _fits_map(self, value: dict[str, Any]) -> bool:
        if self.min_properties is not None and len(value) < self.min_properties:
            return False
        if self.max_properties is not None and len(value) > self.max_properties:
            return False
        for name in self.required:
            if name not in value:
                return False
        properties, additional = self.properties, self.additional
        for name, inside in value.items():
            node = properties.get(name)
            if node is None:
                if self.closed:
                    return False
                if additional is None:
                    continue
                node = additional
            if not node.fits(inside):
                return False
        return True

    def _fits_any(self, value: Any) -> bool:
        return True

    # ---- what is wrong with a value

    def look(self, value: Any, path: str, old: Correlated | None = None) -> Result:
        """The faults of a value; `old` is what it was before, whose faults are forgiven where nothing changed."""
        result = self.examine(value, path, old)
        if result.faults and old is not None and old.is_unchanged():
            forgiven = Result()
            forgiven.matched = result.matched
            return forgiven
        return result

    def examine(self, value: Any, path: str, old: Correlated | None) -> Result:
        """The faults of a value that are not forgiven below this schema."""
        result = Result()
        kind = value.__class__
        if value is None:
            self._merge_type(result, value, path)
            self._merge_enum(result, value, path)
            return result
        if self.types or self.format:
            self._merge_type(result, value, path)
            result.matched += 1
        self._merge_schemas(result, value, path, old)
        result.matched += 1
        if kind in _LOOKS:
            for look in _LOOKS[kind]:
                look(self, result, value, path, old)
                result.matched += 1
        self._merge_enum(result, value, path)
        result.matched += 1
        if kind is dict:
            self._look_at_map(result, value, path, old)
            result.matched += 1
        result.matched += 1
        return result

    def _merge_type(self, result: Result, value: Any, path: str) -> None:
        fault = self._type_fault(value, path)
        if fault:
            result.faults.append(found.wrong_type(path, *fault))
        else:
            result.matched += 1

    def _type_fault(self, value: Any, path: str) -> tuple[str, str] | None:
        """The type that is wanted, and what there is instead."""
        types = self.types
        if value is None:
            return (",".join(types), "null") if types and not self.nullable else None
        kind = _type_of(value)
        numeric = "number" in types or "integer" in types
        fits = kind in types
        if not fits and kind == "number":
            fits = "integer" in types and is_json_integer(value)
        elif not fits and kind == "integer":
            fits = "number" in types
        if kind not in ("string", "array") and self.format and not fits:
            shown = {"integer": "int64", "number": "float64"}.get(kind, "")
            return None if shown == self.format else (self.format, shown)
        if not numeric and self.format and kind in ("string", "array"):
            return None
        return None if fits else (",".join(types), kind)

    def _in_enum(self, value: Any) -> bool:
        return any(_equals(value, allowed) for allowed in self.enum)

    def _merge_enum(self, result: Result, value: Any, path: str) -> None:
        if self.enum and not self._in_enum(value):
            texts = [one if isinstance(one, str) else orjson.dumps(one).decode() for one in self.enum]
            result.faults.append(found.none_of(path, value, texts))

    def _merge_schemas(self, result: Result, value: Any, path: str, old: Correlated | None) -> None:
        """Combined schemas: their own faults are never forgiven, those of properties below are."""
        if self.any_of:
            self._merge_any_of(result, value, path, old)
        if self.one_of:
            self._merge_one_of(result, value, path, old)
        if self.all_of:
            self._merge_all_of(result, value, path, old)
        if self.none_of is not None and self.none_of.examine(value, path, old).is_valid:
            result.faults.append(found.general(f"{quoted(path)} must not validate the schema (not)"))
        result.matched += 1

    def _merge_any_of(self, result: Result, value: Any, path: str, old: Correlated | None) -> None:
        best: Result | None = None
        for node in self.any_of:
            one = node.examine(value, path, old)
            if one.is_valid:
                result.merge(one)
                return
            if best is None or one.matched > best.matched:
                best = one
        result.faults.append(found.general(f"{quoted(path)} must validate at least one schema (anyOf)"))
        if best is not None:
            result.merge(best)

    def _merge_one_of(self, result: Result, value: Any, path: str, old: Correlated | None) -> None:
        best: Result | None = None
        valid: list[Result] = []
        for node in self.one_of:
            one = node.examine(value, path, old)
            if one.is_valid:
                valid.append(one)
            elif not valid and (best is None or one.matched > best.matched):
                best = one
        if len(valid) == 1:
            result.merge(valid[0])
            return
        how = f"Found {len(valid)} valid alternatives" if valid else "Found none valid"
        result.faults.append(found.general(f"{quoted(path)} must validate one and only one schema (oneOf). {how}"))
        if best is not None and not valid:
            result.merge(best)

    def _merge_all_of(self, result: Result, value: Any, path: str, old: Correlated | None) -> None:
        valid = 0
        for node in self.all_of:
            one = node.examine(value, path, old)
            valid += one.is_valid
            result.merge(one)
        if valid != len(self.all_of):
            more = "" if valid else ". None validated"
            result.faults.append(found.general(f"{quoted(path)} must validate all the schemas (allOf){more}"))

    def _look_at_text(self, result: Result, value: str, path: str, old: Correlated | None) -> None:
        if self.max_length is not None and len(value) > self.max_length:
            result.faults.append(found.longer(path, self.max_length))
        elif self.min_length is not None and len(value) < self.min_length:
            result.faults.append(found.wrong(path, value, f"should be at least {self.min_length} chars long"))
        elif self.pattern is not None and not self.pattern.matches(value):
            result.faults.append(found.wrong(path, value, f"should match '{self.pattern.shown}'"))

    def _look_at_format(self, result: Result, value: str, path: str, old: Correlated | None) -> None:
        if self.check is None:
            result.matched -= 1  # the check does not apply
        elif not self.check(value):
            result.faults.append(found.wrong_type(path, self.format, value))

    def _look_at_number(self, result: Result, value: float, path: str, old: Correlated | None) -> None:
        result.faults += number_faults(self._numeric(), value, path)
        result.matched += 1

    def _numeric(self) -> Schema:
        """The schema with the format that counts."""
        if self.format == (self.schema.get("format") or ""):
            return self.schema
        return {**self.schema, "format": self.format}

    def _look_at_list(self, result: Result, value: list[Any], path: str, old: Correlated | None) -> None:
        if self.items is not None:
            for index, item in enumerate(value):
                before = None if old is None else old.item(index)
                result.merge(self.items.look(item, f"{path}[{index}]", before))
        if self.min_items is not None and len(value) < self.min_items:
            result.faults.append(found.wrong(path, len(value), f"should have at least {self.min_items} items"))
        if self.max_items is not None and len(value) > self.max_items:
            result.faults.append(found.more(path, len(value), self.max_items))
        if self.unique and has_duplicates(value):
            result.faults.append(found.wrong(path, "", "shouldn't contain duplicates"))
        result.matched += 1

    def _look_at_map(self, result: Result, value: dict[str, Any], path: str, old: Correlated | None) -> None:
        count = len(value)
        if self.min_properties is not None and count < self.min_properties:
            result.faults.append(found.wrong(path, count, f"should have at least {self.min_properties} properties"))
        if self.max_properties is not None and count > self.max_properties:
            result.faults.append(found.more(path, count, self.max_properties))
        for name in sorted(value.keys() - self.properties.keys()):
            if self.closed:
                result.faults.append(found.stray(path, name))
            elif self.additional is not None:
                before = _property(old, name, path)
                result.merge(self.additional.look(value[name], f"{path}.{name}", before))
        for name, node in self.properties.items():
            if name in value:
                inner = f"{path}.{name}" if path else name
                result.merge(node.look(value[name], inner, _property(old, name, path)))
        for name in self.required:
            if name not in value:
                result.faults.append(found.missing(f"{path}.{name}"))


def _property(old: Correlated | None, name: str, path: str) -> Correlated | None:
    """What a property was before; kind and apiVersion of the root are never forgiven."""
    if old is None or (not path and name in ("kind", "apiVersion")):
        return None
    return old.property(name)


class Pattern:
    """A pattern of a schema; RE2 takes linear time. One that is none matches nothing, and `error` says why in Go's words."""

    __slots__ = ("_compiled", "_error", "_judged", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self._compiled: patterns.Pattern | None = None
        self._judged = False
        self._error = ""

    @property
    def error(self) -> str:
        """What is wrong with the pattern, "" if nothing is."""
        if not self._judged:
            self._judged = True
            self._error = patterns.fault(self.source)
            if not self._error:
                self._compiled = patterns.compiled(self.source)
        return self._error

    def matches(self, text: str) -> bool:
        """Whether the pattern is found in the text."""
        return not self.error and self._compiled is not None and self._compiled.matches(text)

    @property
    def shown(self) -> str:
        """The pattern as messages show it."""
        return f"{self.source}, but pattern is invalid: {self.error}" if self.error else self.source


def _type_of(value: Any) -> str:
    """The type of a value; an integer that Go's int64 cannot hold is a double there."""
    if value.__class__ is int and value not in INT64:
        return "number"
    return TYPES[value.__class__]


def _types(schema: Schema) -> tuple[str, ...]:
    if schema.get("x-kubernetes-int-or-string"):
        return "integer", "string"
    return (schema["type"],) if schema.get("type") else ()


def _nodes(schemas: Sequence[Schema] | None, minor: int) -> tuple[Node, ...]:
    return tuple(Node(schema, minor) for schema in schemas or ())


def _equals(value: Any, allowed: Any) -> bool:
    """Go's comparison with a constant, to whose type the value is converted."""
    if value is None or allowed is None:
        return False
    kind, wanted = value.__class__, allowed.__class__
    if kind is not wanted:
        if kind is int and wanted is float:
            return float(value) == allowed
        if kind is float and wanted is int:
            return int(value) == allowed
        if kind is int and wanted is str:
            return _as_rune(value) == allowed
        return False
    return key_of(value) == key_of(allowed) if kind in (dict, list) else value == allowed


def _as_rune(number: int) -> str:
    """Go's conversion of an integer to a string: its code point."""
    valid = 0 <= number < 0xD800 or 0xDFFF < number <= 0x10FFFF
    return chr(number) if valid else "\ufffd"


def key_of(value: Any) -> Any:
    """Something hashable that two values share only if they are deeply equal. Values too deep to compare equal none."""
    if value.__class__ is str:
        return value
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return object()


def has_duplicates(values: Sequence[Any]) -> bool:
    """Whether two values are deeply equal, in linear time."""
    return len({key_of(value) for value in values}) != len(values)


_FITS: dict[type, Callable[[Node, Any], bool]] = {
    str: Node._fits_text,
    int: Node._fits_number,
    float: Node._fits_number,
    list: Node._fits_list,
    dict: Node._fits_map,
    bool: Node._fits_any,
}
_LOOKS: dict[type, tuple[Callable[..., None], ...]] = {
    str: (Node._look_at_text, Node._look_at_format),
    int: (Node._look_at_number,),
    float: (Node._look_at_number,),
    list: (Node._look_at_list,),
}
