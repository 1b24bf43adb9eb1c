"""Semantic versions: semver('1.2.3-rc.1').major() … Upstream: K/cel/library/semverlib.go, blang/semver."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from apiserver_workers.apimachinery.memo import memoized

from ..failures import Failure
from ..text import quote
from ..values import UINT_MAX, Opaque
from . import costs
from .row import Row

_S = "kubernetes.Semver"
_DIGITS = re.compile("[0-9]*")
_WORD = re.compile("[0-9A-Za-z-]*")


class Version(NamedTuple):
    """The parts of a version. A part of the pre-release is an int or a string."""

    major: int
    minor: int
    patch: int
    pre: tuple[int | str, ...] = ()
    build: tuple[str, ...] = ()


class Semver(Opaque):
    """kubernetes.Semver. Build metadata does not count in comparisons."""

    __slots__ = ("version",)
    type_name = _S

    def __init__(self, version: Version) -> None:
        self.version = version

    def __eq__(self, other: object) -> bool:
        return type(other) is Semver and compare(self, other) == 0

    def __hash__(self) -> int:
        return hash(self.version[:4])

    def __str__(self) -> str:
        version = self.version
        text = f"{version.major}.{version.minor}.{version.patch}"
        if version.pre:
            text += "-" + ".".join(map(str, version.pre))
        return text + ("+" + ".".join(version.build) if version.build else "")


def _number(name: str, text: str) -> int:
    if not _DIGITS.fullmatch(text):
        raise Failure(f"Invalid character(s) found in {name} number {quote(text)}")
    if len(text) > 1 and text[0] == "0":
        raise Failure(f"{name.capitalize()} number must not contain leading zeroes {quote(text)}")
    return _unsigned(text)


def _unsigned(text: str) -> int:
    fault = f"strconv.ParseUint: parsing {quote(text)}: "
    if not text:
        raise Failure(fault + "invalid syntax")
    if len(text) > 20 or int(text) > UINT_MAX:
        raise Failure(fault + "value out of range")
    return int(text)


@memoized
def parse(text: str) -> Version:
    """The version that the text is. Raises Failure."""
    if not text:
        raise Failure("Version string empty")
    parts = text.split(".", 2)
    if len(parts) != 3:
        raise Failure("No Major.Minor.Patch elements found")
    major = _number("major", parts[0])
    minor = _number("minor", parts[1])
    rest, plus, build = parts[2].partition("+")
    rest, dash, pre = rest.partition("-")
    patch = _number("patch", rest)
    before = tuple(map(_pre_release, pre.split("."))) if dash else ()
    return Version(major, minor, patch, before, tuple(map(_build, build.split("."))) if plus else ())


def _pre_release(part: str) -> int | str:
    if not part:
        raise Failure("Prerelease is empty")
    if _DIGITS.fullmatch(part):
        if len(part) > 1 and part[0] == "0":
            raise Failure(f"Numeric PreRelease version must not contain leading zeroes {quote(part)}")
        return _unsigned(part)
    if not _WORD.fullmatch(part):
        raise Failure(f"Invalid character(s) found in prerelease {quote(part)}")
    return part


def _build(part: str) -> str:
    if not part:
        raise Failure("Build meta data is empty")
    if not _WORD.fullmatch(part):
        raise Failure(f"Invalid character(s) found in build meta data {quote(part)}")
    return part


def normalise(text: str) -> str:
    """A version with what may be missing: `v1.02` is `1.2.0`. Raises Failure."""
    parts = [_without_zeros(part) for part in text.removeprefix("v").split(".", 2)]
    if len(parts) < 3 and ("+" in parts[-1] or "-" in parts[-1]):
        raise Failure("short version cannot contain PreRelease/Build meta data")
    return ".".join([*parts, *["0"] * (3 - len(parts))])


def _without_zeros(part: str) -> str:
    if len(part) < 2:
        return part
    stripped = part.lstrip("0")
    return stripped if stripped and stripped[0] in "0123456789" else "0" + stripped


def from_string(text: str, normalised: bool = False) -> Semver:
    """semver(text). Raises Failure."""
    return Semver(parse(normalise(text) if normalised else text))


def is_semver(text: str, normalised: bool = False) -> bool:
    """isSemver(text)"""
    try:
        from_string(text, normalised)
    except Failure:
        return False
    return True


def compare(left: Semver, right: Semver) -> int:
    """-1, 0 or 1."""
    mine, theirs = left.version, right.version
    if mine[:3] != theirs[:3]:
        return 1 if mine[:3] > theirs[:3] else -1
    if not mine.pre or not theirs.pre:
        return bool(theirs.pre) - bool(mine.pre)
    first, second = _keys(mine.pre), _keys(theirs.pre)
    return (first > second) - (first < second)


def _keys(pre: tuple[int | str, ...]) -> list[tuple[bool, int, str]]:
    """A number comes before a word, fewer parts before more."""
    return [(True, 0, part) if isinstance(part, str) else (False, part, "") for part in pre]


def _row(identifier: str, name: str, args: tuple[str, ...], result: str, function: Callable[..., Any]) -> Row:
    return Row(identifier, name, args, result, function, member=True, by_name=True, since=33, library="semver")


def _parsing(identifier: str, name: str, args: tuple[str, ...], result: str, function: Callable[..., Any]) -> Row:
    return Row(
        identifier,
        name,
        args,
        result,
        function,
        static=costs.static_traverse(),
        runtime=costs.traverse_first,
        by_name=True,
        since=33,
        library="semver",
    )


ROWS: tuple[Row, ...] = (
    _parsing("string_to_semver", "semver", ("string",), _S, from_string),
    _parsing("string_bool_to_semver", "semver", ("string", "bool"), _S, from_string),
    _parsing("is_semver_string", "isSemver", ("string",), "bool", is_semver),
    _parsing("is_semver_string_bool", "isSemver", ("string", "bool"), "bool", is_semver),
    _row("semver_is_greater_than", "isGreaterThan", (_S, _S), "bool", lambda left, right: compare(left, right) > 0),
    _row("semver_is_less_than", "isLessThan", (_S, _S), "bool", lambda left, right: compare(left, right) < 0),
    _row("semver_compare_to", "compareTo", (_S, _S), "int", compare),
    _row("semver_major", "major", (_S,), "int", lambda semver: semver.version.major),
    _row("semver_minor", "minor", (_S,), "int", lambda semver: semver.version.minor),
    _row("semver_patch", "patch", (_S,), "int", lambda semver: semver.version.patch),
)
