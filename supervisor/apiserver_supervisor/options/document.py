"""docs/flags.md, rendered from the flag table: `python -m apiserver_supervisor.options.document > docs/flags.md`."""

from __future__ import annotations

from apiserver_supervisor.options import GROUPS
from apiserver_supervisor.options.flag import Flag
from apiserver_supervisor.options.profile import START

HEAD = """\
# Flags

`apiserver-supervisor start` and `kube-apiserver` take the same flags. A value can also come from the environment
(`APISERVER_SUPERVISOR_SECURE_PORT=7443`) or from the YAML file that `--config` names (`secure-port: 7443`); a flag comes
before the environment, that before the file, that before the default. `apiserver-supervisor config` shows what is in force.

In names `_` reads as `-`. `--flag value` and `--flag=value` are the same, except that a bool takes its value only with `=`.
Lists are separated by commas and a repeated flag appends. Defaults are those of kube-apiserver; where `start` has another
one, it is in brackets.

This page is made from the flag table by `python -m apiserver_supervisor.options.document`.
"""


def render() -> str:
    """The whole page."""
    parts = [HEAD]
    for group in GROUPS:
        parts.append(f"## {group.name}\n\n| flag | type | default | what it does |\n|---|---|---|---|")
        parts.append("\n".join(_row(flag) for flag in sorted(group.flags, key=lambda flag: flag.name)) + "\n")
    return "\n".join(parts)


def _row(flag: Flag) -> str:
    default = _default(flag, flag.default)
    own = START.defaults.get(flag.field, flag.default)
    if own != flag.default:
        default += f" [{_default(flag, own) or 'derived'}]"
    notes = [flag.help]
    if note := START.notes.get(flag.name):
        notes.append(f"`start`: {note[0].lower()}{note[1:]}")
    if flag.missing:
        notes.append(f"*No effect yet: there is no {flag.missing}.*")
    if flag.legacy:
        notes.append(f"*Legacy: kube-apiserver has dropped it in {flag.legacy}.*")
    elif flag.deprecated:
        notes.append("*Deprecated.*")
    text = " ".join(notes).replace("|", "\\|")
    return f"| `--{flag.name}` | {flag.type.name} | {default} | {text} |"


def _default(flag: Flag, value: object) -> str:
    return f"`{flag.type.format(value)}`" if value not in ("", (), {}, -1) else ""


if __name__ == "__main__":
    print(render(), end="")
