"""Strategic merge patch: a merge patch that knows from the types which lists are merged, and by which key.

The directives are `$patch` (replace, delete), `$retainKeys`, `$deleteFromPrimitiveList/<list>` and
`$setElementOrder/<list>`. The order of a merged list is, in this precedence: the $setElementOrder list, the patch's
list, the live list. The functions return new objects that share untouched parts with the old one.

Messages and status codes are those of k8s.io/apimachinery/pkg/util/strategicpatch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from apiserver_workers.apimachinery.errors import ApiError, bad_request
from apiserver_workers.apimachinery.goformat import cannot_unmarshal, plain, type_name
from apiserver_workers.apimachinery.patch import PatchError, without_nulls
from apiserver_workers.apimachinery.types import Field, Type

DIRECTIVE = "$patch"
RETAIN_KEYS = "$retainKeys"
DELETE_FROM = "$deleteFromPrimitiveList"
SET_ORDER = "$setElementOrder"

# What describes the members of an object: its type, the field of a map, or None for raw data.
Schema = Type | Field | None

Object = dict[str, Any]


def strategic_merge(type: Type, doc: Object, patch: Any) -> Object:
    """The object `doc` of that type merged with the decoded body of the patch.

    Raises ApiError: 400, 422 or 500 as upstream, by what is wrong with the patch. The result may contain nulls and
    members that the type does not know: decode it as a request's object.
    """
    if patch is None:
        return doc
    if not isinstance(patch, dict):
        raise bad_request(cannot_unmarshal(patch, "value of type map[string]interface {}"))
    return merge_object(type, doc, patch)


def merge_object(schema: Schema, original: Object, patch: Object) -> Object:
    if DIRECTIVE in patch:
        return _directed(patch)
    merged = original.copy()
    done = {RETAIN_KEYS}
    if RETAIN_KEYS in patch:
        _retain_keys(merged, patch)
    for name in patch:
        if name.startswith(SET_ORDER):
            done.add(name)
            done.add(_merge_ordered(schema, merged, patch, name))
    for name, value in patch.items():
        if name not in done:
            _merge_member(schema, merged, name, value)
    return merged


def _directed(patch: Object) -> Object:
    """The object that `$patch` makes of the live one, whatever that is."""
    directive = patch[DIRECTIVE]
    if directive == "replace":
        return {name: value for name, value in patch.items() if name != DIRECTIVE}
    if directive == "delete":
        return {}
    raise failure(f"unknown patch type: {plain(directive)} in map: {plain(patch)}")


def _merge_member(schema: Schema, merged: Object, name: str, value: Any) -> None:
    deletes = name.startswith(DELETE_FROM)
    if deletes:
        name = _listed_name(name, DELETE_FROM, "invalid patch format of primitive list")
    if value is None:
        merged.pop(name, None)
        return
    live: Any = merged.get(name)
    if live.__class__ is not value.__class__:
        if not deletes:
            kept = without_directives(without_nulls(value))
            if kept is None:
                merged.pop(name, None)
            else:
                merged[name] = kept
    elif isinstance(value, dict):
        strategy, _, below = lookup(schema, name)
        merged[name] = value if strategy == "replace" else merge_object(below, live, value)
    elif isinstance(value, list):
        strategy, key, below = lookup(schema, name)
        # items can be deleted from every list, whatever its strategy
        if strategy == "merge" or deletes:
            value = merge_list(below, live, value, key, deletes=deletes)
        merged[name] = value
    else:
        merged[name] = value


def _listed_name(name: str, prefix: str, message: str) -> str:
    directive, slash, listed = name.partition("/")
    if directive != prefix or not slash:
        raise bad_request(message)
    return listed


def _retain_keys(merged: Object, patch: Object) -> None:
    """Drops the live members that $retainKeys does not name; the patch itself may set no others."""
    names = patch[RETAIN_KEYS]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise bad_request("invalid patch format of retainKeys")
    for name, value in patch.items():
        if value is None or name == RETAIN_KEYS or name.startswith((DELETE_FROM, SET_ORDER)):
            continue
        if name not in names:
            raise bad_request("invalid patch format of retainKeys")
    for name in [name for name in merged if name not in names]:
        del merged[name]


# --- lists --------------------------------------------------------------------------------------------------------


def _merge_ordered(schema: Schema, merged: Object, patch: Object, directive: str) -> str:
    """Merges the list that `$setElementOrder/<list>` is about and puts it in that order; returns its name."""
    order = _as_list(patch[directive])
    name = _listed_name(directive, SET_ORDER, "invalid patch format of setElementOrder list")
    live = _as_list(merged[name]) if name in merged else None
    change = _as_list(patch[name]) if name in patch else None
    strategy, key, below = lookup(schema, name)
    if change and order:
        _check_order(change, order, key)
    if change is None:
        result = live
    elif live is None:
        result = without_directives(change)
    else:
        result = merge_list(below, live, change, key) if strategy == "merge" else change
    if result is not None:
        _element_class(live or [], change or [])
        merged[name] = put_in_order(result, order, live or [], key)
    return name


def _check_order(change: list[Any], order: list[Any], key: str) -> None:
    """The items of the patch must be among those of the order list, and in that order."""
    rest = iter([identity(item, key) for item in order])
    for item in change:
        if isinstance(item, dict) and DIRECTIVE in item:
            continue
        if identity(item, key) not in rest:
            shown = f"The order in patch list:\n{plain(change)}\n doesn't match {SET_ORDER} list:\n{plain(order)}\n"
            raise failure(shown)


def merge_list(schema: Schema, live: list[Any], patch: list[Any], key: str, *, deletes: bool = False) -> list[Any]:
    """The live list merged with the patch's: objects by `key`, scalars as a set."""
    if not live and not patch:
        return live
    if _element_class(live, patch) is not dict:
        if deletes:
            gone = {identity(item, "") for item in patch}
            return [item for item in live if identity(item, "") not in gone]
        merged = list({identity(item, ""): item for item in (*live, *patch)}.values())
        return put_in_order(merged, patch, live, key)
    if not key:
        raise failure("cannot merge lists without merge key for type struct")
    live, patch = _apply_list_directives(live, patch, key)
    return put_in_order(_merge_items(schema, live, patch, key), patch, live, key)


def _apply_list_directives(live: list[Any], patch: list[Any], key: str) -> tuple[list[Any], list[Any]]:
    """Both lists after the items of the patch that are directives (`$patch: delete` and `$patch: replace`)."""
    plain_items = []
    replaces = False
    for item in patch:
        directive = item.get(DIRECTIVE)
        if DIRECTIVE not in item:
            plain_items.append(item)
        elif directive == "delete":
            gone = identity(item, key)
            live = [other for other in live if key not in other or identity(other, key) != gone]
        elif directive == "replace":
            replaces = True
        elif directive == "merge":
            raise failure("merging lists cannot yet be specified in the patch")
        else:
            raise failure(f"unknown patch type: {plain(directive)} in map: {plain(item)}")
    return (plain_items, []) if replaces else (live, plain_items)


def _merge_items(schema: Schema, live: list[Any], patch: list[Any], key: str) -> list[Any]:
    merged = live.copy()
    places: dict[Any, int] = {}
    for place, item in enumerate(live):
        if key in item:
            places.setdefault(identity(item, key), place)
    for item in patch:
        place = places.setdefault(identity(item, key), len(merged))
        if place == len(merged):
            merged.append(item)
        else:
            merged[place] = merge_object(schema, merged[place], item)
    return merged


def put_in_order(items: list[Any], order: Sequence[Any], live: Sequence[Any], key: str) -> list[Any]:
    """Items named by `order` in that order, the others in the order of the live list; then both merged."""
    wanted = _places(order, key)
    known = _places(live, key)
    named = [item for item in items if identity(item, key) in wanted]
    others = [item for item in items if identity(item, key) not in wanted]
    named.sort(key=lambda item: wanted[identity(item, key)])
    others.sort(key=lambda item: known.get(identity(item, key), len(live)))
    result: list[Any] = []
    at = 0
    for other in others:
        mine = known.get(identity(other, key), len(live))
        while at < len(named) and not mine < known.get(identity(named[at], key), -1):
            result.append(named[at])
            at += 1
        result.append(other)
    return result + named[at:]


def _places(items: Iterable[Any], key: str) -> dict[Any, int]:
    places: dict[Any, int] = {}
    for place, item in enumerate(items):
        places.setdefault(identity(item, key), place)
    return places


def identity(item: Any, key: str) -> Any:
    """What tells an item of a merged list from others: its merge key's value, or itself; 1, 1.0 and true differ."""
    if key:
        if not isinstance(item, dict):
            raise failure(f"expected a map[string]interface {{}}, but received a {type_name(item)}")
        if key not in item:
            raise failure(f"map: {plain(item)} does not contain declared merge key: {key}")
        item = item[key]
    if isinstance(item, dict | list):
        return item.__class__, plain(item)
    return item.__class__, item


def _element_class(live: list[Any], patch: list[Any]) -> type:
    classes = {item.__class__ for item in live} | {item.__class__ for item in patch}
    if list in classes:
        raise PatchError
    if not classes:
        raise failure("no elements in any of the given slices")
    if len(classes) > 1:
        raise failure(f"list element types are not identical: {plain([live, patch])}")
    return classes.pop()


def _as_list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise failure(f"expected a []interface {{}}, but received a {type_name(value)}")
    return value


# --- the types ----------------------------------------------------------------------------------------------------


def lookup(schema: Schema, name: str) -> tuple[str, str, Schema]:
    """Strategy ("merge", "replace" or ""), merge key and the schema of the value (of a list: of its items)."""
    if isinstance(schema, Type):
        field = schema.fields.get(name)
        if field is None:
            struct = schema.name.rpartition(".")[2]
            raise failure(f'unable to find api field in struct {struct} for the json field "{name}"')
        strategies = [strategy for strategy in field.patch_strategies if strategy != "retainKeys"]
        return (strategies[0] if strategies else ""), field.patch_key or "", _members(field)
    if schema is None:
        raise failure(f'unable to find api field in struct RawExtension for the json field "{name}"')
    return "", "", _members(schema.element) if schema.element else None


def _members(field: Field) -> Schema:
    if field.form == "object":
        return field.type
    if field.form == "map":
        return field
    if field.form == "list" and field.element:
        return _members(field.element)
    return None


def without_directives(value: Any) -> Any:
    """`value` without the objects in it that are directives; None when it is one itself."""
    if isinstance(value, dict):
        if DIRECTIVE in value:
            return None
        kept = {name: (item, without_directives(item)) for name, item in value.items()}
        return {name: after for name, (before, after) in kept.items() if after is not None or before is None}
    if isinstance(value, list):
        items = [(item, without_directives(item)) for item in value]
        return [after for before, after in items if after is not None or before is None]
    return value


def failure(message: str) -> ApiError:
    """Errors that upstream has no status for: 500 without a reason."""
    return ApiError(500, "", message)
