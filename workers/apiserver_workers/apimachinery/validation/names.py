"""What names, labels and other identifiers may look like (k8s.io/apimachinery/pkg/util/validation/validation.go).

A checker takes a string and returns the messages of what is wrong with it, none when it is fine.
"""

from __future__ import annotations

import re
from typing import Any

from apiserver_workers.apimachinery.name_rules import (
    EMPTY,
    LABEL,
    LABEL_1035,
    LABEL_VALUE,
    QUALIFIED_NAME,
    SUBDOMAIN,
    Checker,
    byte_length,
    is_dns1035_label,
    is_dns1123_label,
    is_dns1123_subdomain,
    is_label_value,
    is_qualified_name,
    pattern_checker,
    regex_error,
    too_long,
)

__all__ = [
    "EMPTY",
    "LABEL",
    "LABEL_1035",
    "LABEL_VALUE",
    "QUALIFIED_NAME",
    "SUBDOMAIN",
    "Checker",
    "byte_length",
    "is_dns1035_label",
    "is_dns1123_label",
    "is_dns1123_subdomain",
    "is_label_value",
    "is_qualified_name",
    "pattern_checker",
    "regex_error",
    "too_long",
]

UNDERSCORED = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
C_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
CONFIG_MAP_KEY = "[-._a-zA-Z0-9]+"
HTTP_HEADER_NAME = "[-A-Za-z0-9]+"
HTTP_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"
PERCENT = "[0-9]+%"


is_search_domain = pattern_checker(
    rf"{UNDERSCORED}(\.{UNDERSCORED})*",
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', "
    "and must start and end with an alphanumeric character",
    "example.com",
    limit=253,
)
is_wildcard_dns1123_subdomain = pattern_checker(
    rf"\*\.{SUBDOMAIN}",
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, "
    "which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
    "*.example.com",
    limit=253,
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

_config_map_key = pattern_checker(
    CONFIG_MAP_KEY,
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    "key.name",
    "KEY_NAME",
    "key-name",
    limit=253,
)


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
