"""--config: a YAML file of options, by the names of the flags."""

from __future__ import annotations

from typing import Any

from apiserver_supervisor.options import FLAGS
from apiserver_supervisor.options.files import FileFault, document
from apiserver_supervisor.options.flag import STRING_MAP, STRING_TO_STRING, Flag, FlagError
from apiserver_supervisor.options.parsing import unknown


def read(path: str) -> tuple[dict[str, Any], set[str], list[str]]:
    """The values of a config file by field, the flags that it gives, and what is wrong with it."""
    values: dict[str, Any] = {}
    used: set[str] = set()
    errors: list[str] = []
    try:
        found = document(path)
    except FileFault as fault:
        return {}, set(), [f"--config: {path}: {fault}"]
    for key, value in found.items():
        name = str(key).replace("_", "-")
        flag = FLAGS.get(name)
        if flag is None or flag.name in ("config", "help"):
            errors.append(f"--config: {path}: {unknown(name)}")
            continue
        try:
            values[flag.field] = _value(flag, value)
            used.add(flag.name)
        except FlagError as error:
            errors.append(f"--config: {path}: invalid value for --{flag.name}: {error}")
    return values, used, errors


def _value(flag: Flag, value: Any) -> Any:
    """A value of YAML: a list or mapping where the flag takes several, else what would stand on the command line."""
    collection = flag.type.collection
    if isinstance(value, list):
        if collection is not tuple or not all(isinstance(item, str | int | float) for item in value):
            raise FlagError(
                "a list of words is not what this flag takes" if collection is not tuple else "must be words"
            )
        result: Any = ()
        for item in value:
            # an item is taken as it is, with its commas
            text = _text(item)
            result = flag.type.parse(f'"{text}"' if "," in text and flag.type.name == "strings" else text, result)
        return result
    if isinstance(value, dict):
        if collection is not dict:
            raise FlagError("a mapping is not what this flag takes")
        if flag.type in (STRING_MAP, STRING_TO_STRING):
            return {str(key): _text(item) for key, item in value.items()}
        result = {}
        for key, item in value.items():
            result = flag.type.parse(f"{key}={_text(item)}", result)
        return result
    return flag.type.parse(_text(value), None)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        raise FlagError(f"must be plain text or a number, not {type(value).__name__}")
    return str(value)
