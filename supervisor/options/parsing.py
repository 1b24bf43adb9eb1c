"""From a command line to Options, by the rules of upstream's flag library."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from supervisor.options import FLAGS, api_enablement
from supervisor.options.flag import Flag, FlagError


class OptionsError(Exception):
    """All that is wrong with the options, as upstream prints it: one error plainly, several in brackets."""

    def __init__(self, errors: Sequence[str]) -> None:
        super().__init__(errors[0] if len(errors) == 1 else "[" + ", ".join(errors) + "]")
        self.errors = list(errors)


class Options:
    """The value of every flag as an attribute named like it (`secure_port`), and which flags were given."""

    def __init__(self, values: dict[str, Any], given: frozenset[str]) -> None:
        self.__dict__.update(values)
        self.given = given

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"no flag --{name.replace('_', '-')}")

    def with_values(self, **changes: Any) -> Options:
        """A copy with some values changed."""
        values = {name: value for name, value in self.__dict__.items() if name != "given"}
        return Options(values | changes, self.given)


def parse(arguments: Sequence[str]) -> Options:
    """Options from command-line arguments. Raises OptionsError with every fault found."""
    values: dict[str, Any] = {}
    errors: list[str] = []
    for flag, text in _split(arguments, errors):
        try:
            values[flag.field] = flag.type.parse(text, values.get(flag.field))
        except FlagError as error:
            errors.append(f'invalid argument "{text}" for "--{flag.name}" flag: {error}')
    if errors:
        raise OptionsError(errors)
    return Options({flag.field: flag.default for flag in FLAGS.values()} | values, frozenset(values))


def validate(options: Options) -> None:
    """Check each option by its flag. Raises OptionsError with every fault found."""
    faults = [
        fault
        for flag in FLAGS.values()
        if flag.validate
        for fault in flag.validate(flag.name, getattr(options, flag.field))
    ]
    faults += api_enablement.faults(options)
    if faults:
        raise OptionsError(faults)


def _split(arguments: Sequence[str], errors: list[str]) -> Iterator[tuple[Flag, str]]:
    rest = iter(arguments)
    for argument in rest:
        if not argument.startswith("--") or argument == "--":
            if argument not in ("", "--"):
                errors.append(f'unknown argument "{argument}": flags start with --')
            continue
        name, equals, text = argument[2:].partition("=")
        flag = FLAGS.get(name.replace("_", "-"))
        if flag is None:
            errors.append(_unknown(name))
        elif equals:
            yield flag, text
        elif flag.type.bare is not None:
            yield flag, flag.type.bare
        elif (value := next(rest, None)) is not None:
            yield flag, value
        else:
            errors.append(f"flag needs an argument: --{flag.name}")


def _unknown(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name.replace("_", "-"), FLAGS, n=1)
    return f"unknown flag: --{name}" + (f" (did you mean --{near[0]}?)" if near else "")
