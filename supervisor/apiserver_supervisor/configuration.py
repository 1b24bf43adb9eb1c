"""`config`: the options as a server would have them, and which source each value comes from."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

from apiserver_supervisor.options import FLAGS
from apiserver_supervisor.options.parsing import OptionsError, parse
from apiserver_supervisor.starting import complete_and_validate

_PASSWORD = re.compile(r"(\w+://)[^/@\s]+@")


def show(arguments: Sequence[str], *, output: str, everything: bool) -> int:
    """Print the options; the exit status. Faults are told as `start` tells them."""
    try:
        given = parse(arguments, os.environ)
        options = complete_and_validate(given)
    except OptionsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    rows = [
        {
            "name": name,
            "value": redact(getattr(options, flag.field)),
            "source": given.sources.get(flag.field, "default"),
        }
        for name, flag in sorted(FLAGS.items())
        if not flag.sets and name not in ("help", "version")
    ]
    shown = [row for row in rows if everything or row["source"] != "default"]
    if output == "json":
        print(json.dumps({row["name"]: {"value": row["value"], "source": row["source"]} for row in rows}, indent=2))
    else:
        _table(shown, len(rows) - len(shown))
    return 0


def redact(value: Any) -> Any:
    """A value without the user and password that a URL in it may hold."""
    if isinstance(value, str):
        return _PASSWORD.sub(r"\1REDACTED@", value)
    if isinstance(value, tuple):
        return [redact(item) for item in value]
    if isinstance(value, dict):
        return {key: redact(item) for key, item in value.items()}
    return value


def _table(rows: list[dict[str, Any]], hidden: int) -> None:
    texts = [("OPTION", "VALUE", "SOURCE")]
    for row in rows:
        value = row["value"]
        if not isinstance(value, str):
            text = FLAGS[row["name"]].type.format(tuple(value) if isinstance(value, list) else value)
        else:
            text = value
        texts.append((row["name"], text, row["source"]))
    widths = [max(len(text[column]) for text in texts) for column in range(2)]
    for name, value, source in texts:
        print(f"{name:{widths[0]}}  {value:{min(widths[1], 60)}}  {source}")
    if hidden:
        print(f"\n{hidden} more have their default: --all shows them")
