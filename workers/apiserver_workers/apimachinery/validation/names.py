"""What names, labels and other identifiers may look like (k8s.io/apimachinery/pkg/util/validation/validation.go).

A checker takes a string and returns the messages of what is wrong with it, none when it is fine.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Checker = Callable[[str], list[str]]

LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = rf"{LABEL}(\.{LABEL})*"
UNDERSCORED = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
QUALIFIED_NAME = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
LABEL_VALUE = f"({QUALIFIED_NAME})?"
C_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
CONFIG_MAP_KEY = "[-._a-zA-Z0-9]+"
HTTP_HEADER_NAME = "[-A-Za-z0-9]+"
HTTP_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"
PERCENT = "[0-9]+%"


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
is_search_domain = pattern_checker(
    rf"{UNDERSCORED}(\.{UNDERSCORED})*",
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', "
    "and must start and end with an alphanumeric character",
    "example.com",
    limit=253,
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
is_wildcard_dns1123_subdomain = pattern_checker(
    rf"\*\.{SUBDOMAIN}",
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, "
    "which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
    "*.example.com",
    limit=253,
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
is_c_identifier = pattern_checker(
    C_IDENTIFIER,
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric "
    "characters or '_'",
    "my_name",
    "MY_NAME",
    "MyName",
)
is_http_header_name = pattern_checker(
    HTTP_HEADER_NAME, "a valid HTTP header must consist of alphanumeric characters or '-'", "X-Header-Name"
)
is_http_path = pattern_checker(HTTP_PATH, "Invalid path")
is_valid_percent = pattern_checker(
    PERCENT, "a valid percent string must be a numeric string followed by an ending '%'", "1%", "93%"
)

_NAME_PART = pattern_checker(
    QUALIFIED_NAME,
    "name part must consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character",
    "MyName",
    "my.name",
    "123-abc",
)
_config_map_key = pattern_checker(
    CONFIG_MAP_KEY,
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    "key.name",
    "KEY_NAME",
    "key-name",
    limit=253,
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


def is_config_map_key(value: str) -> list[str]:
    return _config_map_key(value) + _dots(value)


def is_env_var_name(value: str) -> list[str]:
    """IsRelaxedEnvVarName: printable ASCII without `=`."""
    faults = [] if value else [f"environment variable name {EMPTY}"]
    if not all(" " <= char <= "~" and char != "=" for char in value):
        faults.append(
            "a valid environment variable name must consist only of printable ASCII characters other than '='"
        )
    return faults


def _dots(value: str) -> list[str]:
    if value in (".", ".."):
        return [f"must not be '{value}'"]
    return ["must not start with '..'"] if value.startswith("..") else []


def is_port_name(value: str) -> list[str]:
    """IsValidPortName: an IANA service name."""
    faults = [] if len(value) <= 15 else [too_long(15)]
    if not re.fullmatch("[-a-z0-9]+", value):
        faults.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        faults.append("must contain at least one letter (a-z)")
    if "--" in value:
        faults.append("must not contain consecutive hyphens")
    if value and (value[0] == "-" or value[-1] == "-"):
        faults.append("must not begin or end with a hyphen")
    return faults


def is_port_number(value: Any) -> list[str]:
    return [] if isinstance(value, int) and 1 <= value <= 65535 else ["must be between 1 and 65535, inclusive"]


IP_ADDRESS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"


def anything(value: str) -> list[str]:
    """No rule beyond what the registry asks of every name."""
    return []


def is_path_segment(value: str) -> list[str]:
    """IsValidPathSegmentName."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{char}'" for char in ("/", "%") if char in value]


def for_generate_name(check: Checker) -> Checker:
    """The same rule for a generateName: a trailing dash stands for the suffix to come (maskTrailingDash)."""

    def masked(value: str) -> list[str]:
        return check(value[:-2] + "a" if len(value) > 1 and value.endswith("-") else value)

    return masked
