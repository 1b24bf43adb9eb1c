"""All overloads, by id and by name."""

from __future__ import annotations

from . import (
    authz,
    cidr,
    comprehensions,
    ext_lists,
    formats,
    ip,
    jsonpatch,
    lists,
    optional,
    quantity,
    regex,
    semver,
    sets,
    std,
    std_conversions,
    std_strings,
    std_times,
    strings,
    url,
)
from .row import Row

ROWS: tuple[Row, ...] = (
    *std.ROWS,
    *std_conversions.ROWS,
    *std_strings.ROWS,
    *std_times.ROWS,
    *optional.ROWS,
    *strings.ROWS,
    *lists.ROWS,
    *ext_lists.ROWS,
    *sets.ROWS,
    *regex.ROWS,
    *url.ROWS,
    *ip.ROWS,
    *cidr.ROWS,
    *quantity.ROWS,
    *semver.ROWS,
    *formats.ROWS,
    *authz.ROWS,
    *comprehensions.ROWS,
    *jsonpatch.ROWS,
)

BY_ID: dict[str, Row] = {row.id: row for row in ROWS}


def _by_name() -> dict[str, tuple[Row, ...]]:
    found: dict[str, tuple[Row, ...]] = {}
    for row in ROWS:
        found[row.name] = (*found.get(row.name, ()), row)
    return found


BY_NAME: dict[str, tuple[Row, ...]] = _by_name()
