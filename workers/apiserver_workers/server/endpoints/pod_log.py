"""What the query of a pod's log may say (pkg/apis/core/validation ValidatePodLogOptions)."""

from __future__ import annotations

from apiserver_workers.apimachinery import errors
from apiserver_workers.apimachinery.validation.field import Errors, forbidden, invalid
from apiserver_workers.server.endpoints.query import integer, text

POSITIVE = "must be greater than 0"
BOTH = "at most one of `sinceTime` or `sinceSeconds` may be specified"
# (parameter, lowest value, what is said of less), in the order in which they are looked at.
NUMBERS = (
    ("tailLines", 0, "must be greater than or equal to 0"),
    ("limitBytes", 1, POSITIVE),
    ("sinceSeconds", 1, POSITIVE),
)


def check_log_options(query: dict[str, list[str]], pod: str) -> None:
    """Raises ApiError 422 with all that is wrong, 400 for what is no number."""
    faults: Errors = []
    for name, lowest, wrong in NUMBERS:
        value = integer(query, name)
        if name == "sinceSeconds" and value is not None and text(query, "sinceTime"):
            faults.append(forbidden("[]", BOTH))
        elif value is not None and value < lowest:
            faults.append(invalid(name, value, wrong))
    if "stream" in query:
        faults.append(forbidden("stream", "may not be specified"))
    if faults:
        raise errors.invalid("PodLogOptions", "", pod, faults)
