"""From a command line, the environment and a config file to Options, by the rules of upstream's flag library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from apiserver_supervisor.options import FLAGS
from apiserver_supervisor.options.flag import Flag, FlagError
from apiserver_supervisor.options.profile import START, Profile

ENVIRONMENT = "APISERVER_SUPERVISOR_"
SHORTHANDS = {"v": "v", "h": "help"}
# where a value can come from; each comes before those that follow
SOURCES = ("flag", "environment", "file", "default")


class OptionsError(Exception):
    """All that is wrong with the options, as upstream prints it: one error plainly, several in brackets."""

    def __init__(self, errors: Sequence[str]) -> None:
        super().__init__(errors[0] if len(errors) == 1 else "[" + ", ".join(errors) + "]")
        self.errors = list(errors)


class Options:
    """The value of every flag as an attribute named like it (`secure_port`), and which flags were given.

    `sources` says by field where a value came from, `used` by which names the flags were given.
    """

    def __init__(
        self, values: dict[str, Any], sources: Mapping[str, str], used: frozenset[str], profile: Profile
    ) -> None:
        self.__dict__.update(values)
        self.sources, self.used, self.profile = sources, used, profile
        self.given = frozenset(sources)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"no flag --{name.replace('_', '-')}")


class CompletedOptions(Options):
    """Options with nothing left to derive. Only `completion.complete` makes them; only they are validated and run."""

    def with_values(self, **changes: Any) -> CompletedOptions:
        """A copy with some values changed."""
        copy = CompletedOptions({}, self.sources, self.used, self.profile)
        copy.__dict__.update(self.__dict__ | changes)
        return copy


class _Reading:
    """What has been read so far, and what was wrong with it."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.sources: dict[str, str] = {}
        self.used: set[str] = set()
        self.errors: list[str] = []

    def take(self, found: Mapping[str, Any], source: str) -> None:
        """Values by field from a source that comes after those that were read before."""
        for field, value in found.items():
            if field not in self.values:
                self.values[field], self.sources[field] = value, source


def parse(
    arguments: Sequence[str], environment: Mapping[str, str] | None = None, *, profile: Profile = START
) -> Options:
    """Options from command-line arguments, the environment and the file that --config names.

    Raises OptionsError with every fault found.
    """
    reading = _Reading()
    reading.take(_command_line(arguments, reading, profile), "flag")
    reading.take(_environment(environment or {}, reading), "environment")
    if file := reading.values.get("config"):
        from apiserver_supervisor.options.config_file import read

        found, used, errors = read(file)
        reading.take(found, "file")
        reading.used |= used
        reading.errors += errors
    if reading.errors:
        raise OptionsError(reading.errors)
    defaults = {flag.field: flag.default for flag in FLAGS.values() if not flag.sets} | dict(profile.defaults)
    return Options(defaults | reading.values, reading.sources, frozenset(reading.used), profile)


def _command_line(arguments: Sequence[str], reading: _Reading, profile: Profile) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for flag, text in _split(arguments, reading.errors, profile):
        try:
            values[flag.field] = flag.type.parse(text, values.get(flag.field))
            reading.used.add(flag.name)
        except FlagError as error:
            reading.errors.append(f'invalid argument "{text}" for "--{flag.name}" flag: {error}')
    return values


def _environment(environment: Mapping[str, str], reading: _Reading) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for variable in sorted(name for name in environment if name.startswith(ENVIRONMENT)):
        name, text = variable.removeprefix(ENVIRONMENT).lower().replace("_", "-"), environment[variable]
        flag = FLAGS.get(name)
        if flag is None:
            reading.errors.append(f"environment: {unknown(name)}, from {variable}")
            continue
        try:
            values[flag.field] = flag.type.parse(text, None)
            reading.used.add(flag.name)
        except FlagError as error:
            reading.errors.append(f'{variable}: invalid value "{text}" for --{flag.name}: {error}')
    return values


def _split(arguments: Sequence[str], errors: list[str], profile: Profile) -> Iterator[tuple[Flag, str]]:
    """The flags of a command line, each with its text."""
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            _refuse_words(rest, errors, profile)
            return
        name, equals, text = _parts(argument)
        if not name:
            if argument.startswith("-") and len(argument) > 1:
                errors.append(f"unknown shorthand flag: {argument[1]!r} in {argument}")
            else:
                _refuse_words([argument], errors, profile)
            continue
        flag = FLAGS.get(name.replace("_", "-"))
        if flag is None:
            errors.append(unknown(name))
        elif equals:
            yield flag, text
        elif flag.type.bare is not None:
            yield flag, flag.type.bare
        elif (value := next(rest, None)) is not None:
            yield flag, value
        else:
            errors.append(f"flag needs an argument: --{flag.name}")


def _parts(argument: str) -> tuple[str, str, str]:
    """The name of a flag, "=" if a value follows, and the value; no name for a word that is no flag."""
    if argument.startswith("--"):
        return argument[2:].partition("=")
    if argument.startswith("-") and argument[1:2] in SHORTHANDS:
        text = argument[2:]
        return SHORTHANDS[argument[1]], "=" if text else "", text.removeprefix("=")
    return "", "", ""


def _refuse_words(words: Any, errors: list[str], profile: Profile) -> None:
    if found := [word for word in words if word]:
        errors.append(f'"{profile.command}" does not take any arguments, got {found}'.replace("'", '"'))


def unknown(name: str) -> str:
    """The error for a flag that does not exist; it names the nearest one."""
    import difflib

    near = difflib.get_close_matches(name.replace("_", "-"), FLAGS, n=1)
    return f"unknown flag: --{name}" + (f" (did you mean --{near[0]}?)" if near else "")
