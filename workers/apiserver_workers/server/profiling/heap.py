"""What a worker's memory holds: the kernel's figures, and the live objects by type."""

from __future__ import annotations

import gc
import sys
from collections import Counter

ROLLUP = ("Rss", "Pss", "Private_Dirty", "Swap")
TYPES_SHOWN = 50


def heap() -> str:
    """Memory in kB as the kernel counts it, the collector's counters, and which types have the most objects.

    Objects that were there before the first request are frozen: the collector does not list them one by one.
    """
    lines = [f"{field}: {kilobytes} kB" for field, kilobytes in _rollup()]
    lines.append(f"frozen objects: {gc.get_freeze_count()}")
    for generation, stats in enumerate(gc.get_stats()):
        lines.append(f"generation {generation}: {stats['collections']} collections, {stats['collected']} collected")
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for one in gc.get_objects():
        kind = f"{type(one).__module__}.{type(one).__qualname__}"
        counts[kind] += 1
        sizes[kind] += sys.getsizeof(one, 0)
    lines.append(f"collected objects: {counts.total()}, {sizes.total()} bytes without what they refer to")
    lines += [f"{size:>12} bytes {counts[kind]:>9} {kind}" for kind, size in sizes.most_common(TYPES_SHOWN)]
    return "\n".join(lines) + "\n"


def _rollup() -> list[tuple[str, int]]:
    try:
        with open("/proc/self/smaps_rollup") as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line.partition(" ")[0])
    except OSError:
        return []
    return [(field, int(fields[field].split()[0])) for field in ROLLUP if field in fields]
