"""Which images are pulled always: those with the tag `latest`, or with neither tag nor digest."""

from __future__ import annotations

import re

from apiserver_workers.apimachinery.memo import memoized

# The grammar of github.com/distribution/reference: [domain/]path[:tag][@digest].
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<name>(?:{_DOMAIN}/)?{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?"
    r"(?P<digest>@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?",
    re.ASCII,
)
LONGEST_PATH = 255
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")


def _path(match: re.Match[str]) -> str:
    """The repository's path; images without a registry are those of Docker's library."""
    domain, slash, path = match["name"].partition("/")
    if not slash:
        return f"library/{domain}"
    return path if "." in domain or ":" in domain or domain == "localhost" else match["name"]


@memoized
def pull_policy(image: str) -> str:
    """The default pull policy: Always or IfNotPresent (also for what is no valid reference; validation reports it)."""
    match = _REFERENCE.fullmatch(image)
    if match is None or _IDENTIFIER.fullmatch(image) or len(_path(match)) > LONGEST_PATH:
        return "IfNotPresent"
    tag = match["tag"]
    return "Always" if tag == "latest" or (tag is None and match["digest"] is None) else "IfNotPresent"
