"""The field manager: keeps metadata.managedFields right on every write, and carries out apply.

`track_update` is for create, update and the other patches, `apply` for server-side apply. Call them with the decoded,
defaulted object and before admission and the strategy change it: what those set belongs to nobody.
"""

from __future__ import annotations

from typing import Any

import orjson

from apiserver_workers.apimachinery.apply.compare import to_field_set
from apiserver_workers.apimachinery.apply.conflicts import Conflicts, find_conflicts
from apiserver_workers.apimachinery.apply.entries import (
    APPLY,
    UPDATE,
    DecodeError,
    Entry,
    capped,
    decode,
    identity,
    in_order,
    is_reset,
    new_entry,
)
from apiserver_workers.apimachinery.apply.fields import Fields, difference, field_set, intersection, union
from apiserver_workers.apimachinery.apply.last_applied import LAST_APPLIED, client_side_applied, set_last_applied
from apiserver_workers.apimachinery.apply.plan import UNOWNED, UNOWNED_METADATA, KeyMissing, plan, zero
from apiserver_workers.apimachinery.apply.reset import Reset
from apiserver_workers.apimachinery.apply.tracking import Converter, Update, without_entries
from apiserver_workers.apimachinery.apply.typed import TypedError, check, merge, remove, with_named_fields
from apiserver_workers.apimachinery.errors import ApiError, bad_request
from apiserver_workers.apimachinery.goformat import plain
from apiserver_workers.apimachinery.types import Type

Object = dict[str, Any]

BEFORE_FIRST_APPLY = "before-first-apply"
MAX_MANAGER_LENGTH = 128

NO_FIELDS: Fields = {}
# What an applier names and does not own; not even the metadata as such.
UNOWNED_FIELDS = field_set(
    *((name,) for name in (*UNOWNED, "metadata")), *(("metadata", name) for name in UNOWNED_METADATA)
)


def manager_from_user_agent(user_agent: str) -> str:
    """The field manager of a request that names none: what stands before the first slash, printable and not too long."""
    prefix = user_agent.split("/", 1)[0]
    return "".join(char for char in prefix[:MAX_MANAGER_LENGTH] if char.isprintable())


# --- create, update, patch ----------------------------------------------------------------------------------------


def track_update(
    type: Type,
    live: Object | None,
    new: Object,
    *,
    manager: str,
    api_version: str,
    now: str,
    subresource: str = "",
    reset: Reset | None = None,
    convert: Converter | None = None,
) -> Object:
    """`new` with the managedFields that it gets by this write over `live` (None: it is created).

    `reset` is `reset_fields(info, subresource)`, `now` the time in RFC 3339; `convert` is asked for entries of other
    versions. `new` is changed in its metadata only, and returned; nothing that it shares with `live` is changed.
    """
    metadata = new["metadata"] = dict(new.get("metadata") or {})
    sent = metadata.pop("managedFields", None)
    held = (live or {}).get("metadata", {}).get("managedFields") or []
    entries = _entries_to_start_from(sent, held, trust_sent=not subresource)
    if not entries and live is not None:
        return new
    try:
        update = Update(type, live or zero(type), new, api_version, reset=reset, convert=convert)
        entries = update.transfer(entries)
    except KeyMissing:
        # the object cannot be told apart into fields; the write goes on, the managers stay
        entries = held
    else:
        mine = update.changed
        if mine:
            entries = capped(_claimed(entries, mine, manager or "unknown", api_version, now, subresource))
    if entries:
        metadata["managedFields"] = entries if entries is held else in_order(entries)
    return new


def _entries_to_start_from(sent: Any, held: list[Entry], *, trust_sent: bool) -> list[Entry]:
    """The entries that the client sent if they are usable, else the live object's."""
    if sent is None or not trust_sent or sent is held or sent == held:
        return held
    if is_reset(sent):
        return []
    try:
        return decode(sent) or held
    except DecodeError:
        return held


def _claimed(
    entries: list[Entry], mine: Fields, manager: str, api_version: str, now: str, subresource: str
) -> list[Entry]:
    """The entries with one more, or a larger one, for the manager that changed the fields `mine`."""
    who = (manager, UPDATE, api_version, subresource)
    result = []
    fields: Fields | None = mine
    for other in entries:
        if identity(other) == who:
            fields = union(fields, other["fieldsV1"])
        else:
            result.append(other)
    entry = new_entry(manager, UPDATE, api_version, fields or mine, time=now, subresource=subresource)
    result.append(entry)
    return result


# --- apply --------------------------------------------------------------------------------------------------------


def apply(
    type: Type,
    live: Object | None,
    patch: Any,
    *,
    manager: str,
    api_version: str,
    kind: str,
    now: str,
    force: bool = False,
    subresource: str = "",
    reset: Reset | None = None,
    convert: Converter | None = None,
) -> tuple[Object, bool]:
    """The live object (None: there is none yet) after `manager` applied the configuration `patch`.

    Returns the object and whether anything but managedFields differs. It is not normalised: it may hold nulls and lacks
    defaults. Raises ApiError: 400 for a configuration of another kind or with managedFields, 500 for one that does not
    fit the type, 409 when it would change what others own.
    """
    _check_kind(patch, api_version, kind)
    base = live if live is not None else zero(type)
    held = base.get("metadata", {}).get("managedFields") or []
    applier = _Apply(type, base, held, patch, manager, api_version, subresource, reset, convert)
    if not held and live is not None:
        applier.entries = _first_entries(type, live, api_version, now, subresource, reset)
    _check_configuration(type, patch, api_version, kind)
    try:
        merged = applier.run(force=force)
    except Conflicts as conflicts:
        if manager != "kubectl":
            raise
        allowed = client_side_applied(type, base, api_version)
        rest = [conflict for conflict in conflicts.found if conflict[1] not in allowed]
        if rest:
            raise Conflicts(rest) from None
        merged = applier.run(force=True)
    changed = merged != without_entries(base)
    entries = applier.finished(merged, now if changed else None)
    metadata = dict(merged.get("metadata") or {})
    merged = {**merged, "metadata": metadata}
    if entries:
        metadata["managedFields"] = in_order(entries)
    if manager == "kubectl" and (metadata.get("annotations") or {}).get(LAST_APPLIED):
        set_last_applied(metadata, patch)
    return merged, changed


def _check_kind(patch: Any, api_version: str, kind: str) -> None:
    if not isinstance(patch, dict):
        what = plain(patch) if patch is not None else "null"
        raise bad_request(f"error decoding YAML: cannot unmarshal {what} into map[string]interface {{}}")
    given = _kind_text(
        *(name if isinstance(name, str) else "" for name in (patch.get("apiVersion"), patch.get("kind")))
    )
    if given != _kind_text(api_version, kind):
        raise bad_request(f"invalid object type: {given}")
    if _metadata(patch).get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")


def _kind_text(api_version: str, kind: str) -> str:
    """A group-version-kind as upstream prints it: `apps/v1, Kind=Deployment`, `/v1, Kind=Pod`."""
    return f"{api_version if '/' in api_version else '/' + api_version}, Kind={kind}"


def _metadata(patch: Object) -> Object:
    """The configuration's metadata; whether they are an object at all is checked with the rest of it."""
    metadata = patch.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _check_configuration(type: Type, patch: Object, api_version: str, kind: str) -> None:
    try:
        check(plan(type), patch)
    except TypedError as problem:
        metadata = _metadata(patch)
        name = f"{metadata.get('namespace') or ''}/{metadata.get('name') or ''}; {_kind_text(api_version, kind)}"
        raise ApiError(500, "", f"failed to create typed patch object ({name}): {problem}") from None


def _first_entries(
    type: Type, live: Object, api_version: str, now: str, subresource: str, reset: Reset | None
) -> list[Entry]:
    """Entries for an object that nobody has applied to yet: all of it was set before the first apply."""
    try:
        update = Update(type, zero(type), live, api_version, reset=reset, convert=None)
    except KeyMissing:
        return []
    if not update.changed:
        return []
    return [new_entry(BEFORE_FIRST_APPLY, UPDATE, api_version, update.changed, time=now, subresource=subresource)]


class _Apply:
    """One apply: merges, prunes what the manager no longer applies, and finds or overrides conflicts."""

    def __init__(
        self,
        type: Type,
        base: Object,
        entries: list[Entry],
        patch: Object,
        manager: str,
        version: str,
        subresource: str,
        reset: Reset | None,
        convert: Converter | None,
    ) -> None:
        self.type = type
        self.live = without_entries(base)
        self.entries = entries
        self.patch = patch
        self.version = version
        self.reset = reset
        self.convert = convert
        self.entry = new_entry(manager, APPLY, version, NO_FIELDS, time=None, subresource=subresource)
        self.who = identity(self.entry)
        self.others: list[Entry] = []

    def run(self, *, force: bool) -> Object:
        """The merged object. Raises Conflicts unless forced. Leaves the remaining entries of others in `others`."""
        configured = self._reset(to_field_set(plan(self.type), self.patch))
        self.fields = difference(configured, UNOWNED_FIELDS)
        others = [entry for entry in self.entries if identity(entry) != self.who]
        last = next((entry for entry in self.entries if identity(entry) == self.who), None)
        merged = merge(plan(self.type), self.live, self.patch)
        if last is not None:
            merged = self._prune(merged, last, others, configured)
        update = Update(self.type, self.live, merged, self.version, reset=self.reset, convert=self.convert)
        if not force:
            found = find_conflicts(update, others)
            if found:
                raise Conflicts(found)
        self.others = update.transfer(others)
        return merged

    def finished(self, merged: Object, now: str | None) -> list[Entry]:
        """All entries after the apply; `now` when it changed the object, else the manager keeps its time."""
        if not self.fields:
            return self.others
        last = next((entry for entry in self.entries if identity(entry) == self.who), NO_FIELDS)
        time = now or last.get("time")
        manager, operation, _, subresource = self.who
        mine = new_entry(manager, operation, self.version, self.fields, time=time, subresource=subresource)
        return [*self.others, mine]

    def _reset(self, fields: Fields | None) -> Fields | None:
        """The fields without those that this resource or subresource resets."""
        return self.reset(fields) if self.reset is not None else fields

    def _prune(self, merged: Object, last: Entry, others: list[Entry], configured: Fields | None) -> Object:
        """The object without what this manager applied last time but not now, unless somebody else owns it.

        `configured` is all that the configuration names, `metadata.name` and the like among it: nobody owns those
        fields, but the structs around them are kept for their sake.
        """
        version = last["apiVersion"]
        if version == self.version and difference(last["fieldsV1"], self.fields) is None:
            return merged
        found = self._converted(merged, self.version, version)
        if found is None:
            return merged
        type, versioned = found
        node = plan(type)
        before = with_named_fields(node, last["fieldsV1"])
        pruned = remove(node, versioned, before)
        kept = self._with_owned_items(versioned, pruned, version, self._managed(others, configured))
        left = with_named_fields(node, to_field_set(node, kept))
        everything = with_named_fields(node, to_field_set(node, versioned))
        pruned = remove(node, versioned, intersection(difference(everything, left), before))
        back = self._converted(pruned, version, self.version)
        return back[1] if back is not None else merged

    def _converted(self, obj: Object, have: str, wanted: str) -> tuple[Type, Object] | None:
        """An object of version `have` in version `wanted`, with its type; None when the kind has no such version."""
        if have == wanted == self.version:
            return self.type, obj
        return self.convert(obj, wanted) if self.convert is not None else None

    def _managed(self, others: list[Entry], configured: Fields | None) -> dict[str, Fields | None]:
        """What is owned after this apply, by version."""
        managed = {self.version: configured}
        for entry in others:
            version = entry["apiVersion"]
            managed[version] = union(managed.get(version), entry["fieldsV1"])
        return managed

    def _with_owned_items(
        self, merged: Object, pruned: Object, first: str, managed: dict[str, Fields | None]
    ) -> Object:
        """`pruned`, an object of version `first` like `merged`, with what of `merged` somebody owns in any version.

        That version comes first: what is pruned in it may be needed for the conversion to others.
        """
        for version in (first, *(version for version in managed if version != first)):
            fuller = self._converted(merged, first, version)
            sparser = self._converted(pruned, first, version)
            if fuller is None or sparser is None:
                continue
            type, whole = fuller
            node = plan(type)
            everything = with_named_fields(node, to_field_set(node, whole))
            kept = with_named_fields(node, to_field_set(node, sparser[1]))
            owned = with_named_fields(node, managed.get(version))
            restored = remove(node, whole, difference(everything, union(kept, owned)))
            back = self._converted(restored, version, first)
            pruned = back[1] if back is not None else pruned
        return pruned


# --- writes that change nothing -----------------------------------------------------------------------------------


def ignore_times(live: Object, new: Object) -> Object:
    """`new` with the live managedFields when nothing but their times differs, so that the write is found to be none."""
    held = live.get("metadata", {}).get("managedFields")
    entries = new.get("metadata", {}).get("managedFields")
    if held is entries or not held or not entries or len(held) != len(entries):
        return new
    if sorted(map(_timeless, held)) != sorted(map(_timeless, entries)) or without_entries(live) != without_entries(new):
        return new
    return {**new, "metadata": {**new["metadata"], "managedFields": held}}


def _timeless(entry: Entry) -> bytes:
    fields = {key: value for key, value in entry.items() if key != "time"}
    return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
