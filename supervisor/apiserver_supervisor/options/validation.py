"""Validate(): every fault of the completed options, in the order of the flag groups."""

from __future__ import annotations

from apiserver_supervisor.options import GROUPS
from apiserver_supervisor.options.parsing import CompletedOptions, OptionsError


def validate(options: CompletedOptions) -> None:
    """Check every flag and every rule. Raises OptionsError with all that is wrong; nothing is written or started."""
    if not isinstance(options, CompletedOptions):
        raise TypeError("only completed options can be validated")
    faults: list[str] = []
    for group in GROUPS:
        for flag in group.flags:
            if flag.validate and not flag.sets and flag.field in options.given:
                faults += flag.validate(flag.name, getattr(options, flag.field))
        for rule in group.rules:
            faults += rule(options)
    if faults:
        raise OptionsError(list(dict.fromkeys(faults)))
