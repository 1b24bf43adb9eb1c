"""LIST: a page of entries at one revision.

Without a page's limits and at the newest state everything comes from the cache; a page that continues another, or an
exact revision, comes from etcd's history.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apiserver_workers.apimachinery.errors import bad_request
from apiserver_workers.registry import continue_token
from apiserver_workers.registry.interpret import (
    ContinueExpired,
    interpret,
    parse_revision,
    parse_uint_error,
    too_large_resource_version,
)
from apiserver_workers.registry.options import ListOptions
from apiserver_workers.storage.interface import Compacted, Entry, StorageError

if TYPE_CHECKING:
    from apiserver_workers.registry.store import Store

Selects = Callable[[dict[str, Any]], bool]


@dataclass(slots=True)
class Page:
    """What a LIST answers with. `prefix` is set when the page is all that the cache holds below it, so that its joined
    bytes may be used; `remaining` is None where it is unknown or nothing remains.
    """

    entries: Sequence[Entry]
    revision: int
    continue_token: str = ""
    remaining: int | None = None
    prefix: str = ""


def selection(store: Store, options: ListOptions) -> Selects | None:
    """Whether an object is selected by the options' selectors; None when everything is."""
    labels = options.labels if options.labels and options.labels.requirements else None
    fields = options.fields if options.fields and options.fields.terms else None
    by_fields = store.kind.labels.matcher(fields) if fields else None
    if labels is None:
        return by_fields
    by_labels = labels.matches
    if by_fields is None:
        return lambda obj: by_labels(obj["metadata"].get("labels"))
    return lambda obj: by_fields(obj) and by_labels(obj["metadata"].get("labels"))


async def list_page(store: Store, namespace: str, options: ListOptions) -> Page:
    """The page that the options ask for. Raises ApiError."""
    prefix = store.prefix(namespace)
    selects = selection(store, options)
    if options.continue_token:
        return await _continued(store, prefix, options, selects)
    if _is_exact(options):
        revision = _revision(options.resource_version)
        return await _from_etcd(store, prefix, options, selects, start=prefix, revision=revision)
    if not store.cached or not await _catch_up(store, options.resource_version):
        return await _uncached(store, prefix, options, selects)
    return _from_cache(store, prefix, options, selects)


def _is_exact(options: ListOptions) -> bool:
    """Whether the list is to be that of one revision. With a limit, a revision without a match rule is meant so, as it
    was before there were rules."""
    if options.resource_version_match:
        return options.resource_version_match == "Exact"
    return options.limit > 0 and options.resource_version not in ("", "0")


async def _uncached(store: Store, prefix: str, options: ListOptions, selects: Selects | None) -> Page:
    """The newest state from etcd."""
    revision = _revision(options.resource_version)
    page = await _from_etcd(store, prefix, options, selects, start=prefix, revision=0)
    if page.revision < revision:
        raise too_large_resource_version(revision, page.revision)
    return page


async def _catch_up(store: Store, resource_version: str) -> bool:
    """Wait until the cache is as new as the request wants it; false if etcd itself must be read."""
    revision = 0
    try:
        if not resource_version:
            return await store.catch_up()
        if resource_version != "0":
            revision = _revision(resource_version)
            await store.cache.at_least(revision)
    except StorageError as error:
        raise interpret(error, store.info, "list", revision) from error
    return True


def _from_cache(store: Store, prefix: str, options: ListOptions, selects: Selects | None) -> Page:
    cache = store.cache
    revision = cache.revision
    # With resourceVersion=0 a limit is ignored, as it always was when lists come from a cache.
    limit = options.limit if options.limit > 0 and options.resource_version != "0" else 0
    name = options.fields.exact("metadata.name") if options.fields else None
    entries: Sequence[Entry]
    if name is not None and (prefix != store.root or not store.info.namespaced):
        found = cache.get(prefix + name)
        entries = [found] if found else []
    elif selects is None and not limit:
        return Page((), revision, prefix=prefix)
    else:
        entries = cache.list(prefix)
    return _page(entries, prefix, limit, selects, revision)


def _page(
    entries: Sequence[Entry], prefix: str, limit: int, selects: Selects | None, revision: int, behind: int = 0
) -> Page:
    """The selected ones of `entries`, at most `limit`; `behind` more keys follow them unseen."""
    total = len(entries)
    if selects is None:
        taken = entries[:limit] if limit else entries
        seen = len(taken)
    else:
        taken, seen = [], 0
        for entry in entries:
            if limit and len(taken) == limit:
                break
            seen += 1
            if selects(entry.obj):
                taken.append(entry)
    left = total - seen + behind
    if not limit or not left:
        return Page(taken, revision)
    token = continue_token.encode(revision, entries[seen - 1].key[len(prefix) :] + "\0")
    return Page(taken, revision, token, left if selects is None else None)


async def _continued(store: Store, prefix: str, options: ListOptions, selects: Selects | None) -> Page:
    if options.resource_version not in ("", "0"):
        raise bad_request("specifying resource version is not allowed when using continue")
    revision, start = continue_token.decode(options.continue_token)
    try:
        return await _pages(store, prefix, options, selects, start=prefix + start, revision=max(revision, 0))
    except Compacted:
        raise ContinueExpired(continue_token.encode(-1, start)) from None
    except StorageError as error:
        raise interpret(error, store.info, "list", revision) from error


async def _from_etcd(
    store: Store, prefix: str, options: ListOptions, selects: Selects | None, *, start: str, revision: int
) -> Page:
    try:
        return await _pages(store, prefix, options, selects, start=start, revision=revision)
    except StorageError as error:
        raise interpret(error, store.info, "list", revision) from error


async def _pages(
    store: Store, prefix: str, options: ListOptions, selects: Selects | None, *, start: str, revision: int
) -> Page:
    """Pages of etcd at one revision until enough entries are selected."""
    limit = max(options.limit, 0)
    taken: list[Entry] = []
    while True:
        want = limit - len(taken) if limit else 0
        listing = await store.storage.list(prefix, start_key=start, limit=want, revision=revision)
        revision = revision or listing.revision
        page = _page(remembered(store, listing.entries), prefix, want, selects, revision, listing.remaining)
        taken += page.entries
        if len(taken) == limit or not listing.remaining or not listing.entries:
            return Page(taken, revision, page.continue_token, page.remaining)
        start = listing.entries[-1].key + "\0"


def remembered(store: Store, entries: Sequence[Entry]) -> list[Entry]:
    """Entries from etcd, in the place of those that the cache has too the cache's, which need not be read and parsed."""
    known = store.cache.get
    return [
        found if (found := known(entry.key)) is not None and found.mod_revision == entry.mod_revision else entry
        for entry in entries
    ]


def _revision(text: str) -> int:
    try:
        return parse_revision(text)
    except ValueError:
        why = f'resourceVersion: Invalid value: "{text}": {parse_uint_error(text)}'
        raise bad_request(f"invalid resource version: {why}") from None
