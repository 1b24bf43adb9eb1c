"""--help of the two commands, rendered from the flag table: one section a group, wrapped to the terminal."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable

from apiserver_supervisor.options import FLAGS, GROUPS
from apiserver_supervisor.options.flag import BOOL, Flag, FlagGroup
from apiserver_supervisor.options.profile import START, Profile
from apiserver_supervisor.options.supervisor import GROUP as SUPERVISOR

_SHORTHANDS = {"help": "h", "v": "v"}
_INDENT = " " * 6
# what most starts need, in the order of a first use
EVERYDAY = (
    *("instance", "secure-port", "bind-address", "data-dir", "config", "detach", "wait"),
    *("etcd-servers", "kubernetes-version", "feature-gates", "runtime-config"),
    *("authorization-mode", "token-auth-file", "enable-admission-plugins", "v", "help"),
)


def render(width: int, profile: Profile = START, *, everything: bool = True) -> str:
    """The help text, wrapped to `width` columns (0: not at all), with every flag or the everyday ones."""
    examples = "\n".join("  " + example for example in profile.examples)
    parts = [
        _wrap(profile.introduction, width),
        f"Usage:\n  {profile.command} [flags]",
        f"Examples:\n{examples}",
    ]
    if everything:
        parts += [_section(group.name, _shown(group), width, profile) for group in GROUPS]
    else:
        parts += _everyday(width, profile)
    return "\n\n".join(parts) + "\n"


def _everyday(width: int, profile: Profile) -> list[str]:
    """The sections of the flags that most starts need, and how to see the others."""
    own = [flag for flag in _shown(SUPERVISOR) if flag.name not in EVERYDAY]
    others = ", ".join(group.name for group in GROUPS if group is not SUPERVISOR)
    more = f"All {len(FLAGS)} flags, those of kube-apiserver among them ({others}): {profile.command} --help-all"
    return [
        _section("Everyday", [FLAGS[name] for name in EVERYDAY], width, profile),
        _section("Supervisor", own, width, profile),
        _wrap(more, width),
    ]


def _shown(group: FlagGroup) -> list[Flag]:
    return sorted((flag for flag in group.flags if not flag.hidden), key=lambda flag: flag.name)


def _section(name: str, flags: Iterable[Flag], width: int, profile: Profile) -> str:
    return f"{name} flags:\n\n" + "\n".join(_flag(flag, width, profile) for flag in flags)


def terminal_width() -> int:
    """The terminal's width; 0 when the output is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def _flag(flag: Flag, width: int, profile: Profile) -> str:
    short = f"  -{_SHORTHANDS[flag.name]}, " if flag.name in _SHORTHANDS else _INDENT
    head = f"{short}--{flag.name}" + ("" if flag.type is BOOL else f" {flag.type.name}")
    return f"{head}\n{_wrap(describe(flag, profile), width, indent=_INDENT * 2)}"


def describe(flag: Flag, profile: Profile) -> str:
    """What is to be known of a flag: what it does, its default, and how far it can be relied on."""
    text = " ".join(filter(None, (flag.help, profile.notes.get(flag.name))))
    default = profile.defaults.get(flag.field, flag.default)
    if default not in ("", (), {}, -1, False):
        text += f" (default {flag.type.format(default)})"
    if flag.missing:
        text += f" (no effect yet: there is no {flag.missing})"
    if flag.legacy:
        text += f" (LEGACY: kube-apiserver has dropped it in {flag.legacy})"
    elif flag.deprecated:
        text += f" (DEPRECATED: {flag.deprecated})"
    return text


def _wrap(text: str, width: int, *, indent: str = "") -> str:
    flat = " ".join(text.split())
    if not width:
        return indent + flat
    return textwrap.fill(flat, max(width, 40), initial_indent=indent, subsequent_indent=indent)
