"""What names and labels may look like that CEL knows too (k8s.io/apimachinery/pkg/util/validation/validation.go).

A checker takes a string and returns the messages of what is wrong with it, none when it is fine. Other identifiers are in
`validation/names.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Checker = Callable[[str], list[str]]

LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = rf"{LABEL}(\.{LABEL})*"
LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
QUALIFIED_NAME = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
LABEL_VALUE = f"({QUALIFIED_NAME})?"


def regex_error(message: str, pattern: str, *examples: str) -> str:
    """RegexError: the message with examples and the pattern, in upstream's punctuation."""
    if not examples:
        return f"{message} (regex used for validation is '{pattern}')"
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{message} (e.g. {shown}regex used for validation is '{pattern}')"


def too_long(limit: int, unit: str = "characters") -> str:
    return f"must be no more than {limit} {unit}"


EMPTY = "must be non-empty"


def byte_length(value: str) -> int:
    """What Go's len says of a string."""
    return len(value) if value.isascii() else len(value.encode())


def pattern_checker(pattern: str, message: str, *examples: str, limit: int = 0, unit: str = "characters") -> Checker:
    """A checker for a whole-string pattern and a length limit (0: none)."""
    matcher = re.compile(pattern).fullmatch
    failure = regex_error(message, pattern, *examples)

    def check(value: str) -> list[str]:
        faults = [too_long(limit, unit)] if limit and byte_length(value) > limit else []
        return faults if matcher(value) else [*faults, failure]

    return check


_label = pattern_checker(
    LABEL,
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character",
    "my-name",
    "123-abc",
    limit=63,
)
is_dns1123_subdomain = pattern_checker(
    SUBDOMAIN,
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character",
    "example.com",
    limit=253,
)
_label_prefix = pattern_checker(
    SUBDOMAIN,
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character",
    "example.com",
    limit=253,
    unit="bytes",
)
_subdomain_pattern = re.compile(SUBDOMAIN)


def is_dns1123_label(value: str) -> list[str]:
    """IsDNS1123Label: what is a subdomain but no label has dots, and is told so."""
    faults = _label(value)
    if "." in value and _subdomain_pattern.fullmatch(value):
        faults[-1] = "must not contain dots"
    return faults


is_dns1035_label = pattern_checker(
    LABEL_1035,
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', "
    "start with an alphabetic character, and end with an alphanumeric character",
    "my-name",
    "abc-123",
    limit=63,
)
is_label_value = pattern_checker(
    LABEL_VALUE,
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character",
    "MyValue",
    "my_value",
    "12345",
    limit=63,
    unit="bytes",
)
_NAME_PART = pattern_checker(
    QUALIFIED_NAME,
    "name part must consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character",
    "MyName",
    "my.name",
    "123-abc",
)


def is_qualified_name(value: str) -> list[str]:
    """`name` or `prefix/name`: label keys, annotation keys (lower-cased), resource names, finalizers (IsLabelKey)."""
    prefix, slash, name = value.rpartition("/")
    faults: list[str] = []
    if "/" in prefix:
        return [
            regex_error(
                "a valid label key must consist of alphanumeric characters, '-', '_' or '.', "
                "and must start and end with an alphanumeric character",
                QUALIFIED_NAME,
                "MyName",
                "my.name",
                "123-abc",
            )
            + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ]
    if slash:
        if not prefix:
            faults.append(f"prefix part {EMPTY}")
        else:
            faults += [f"prefix part {fault}" for fault in _label_prefix(prefix)]
    if not name:
        faults.append(f"name part {EMPTY}")
    elif byte_length(name) > 63:
        faults.append(f"name part {too_long(63, 'bytes')}")
    return faults + _NAME_PART(name)
