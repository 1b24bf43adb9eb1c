"""--help of `start`, rendered from the flag table: one section a group, wrapped to the terminal."""

from __future__ import annotations

import shutil
import sys
import textwrap

from supervisor.options import GROUPS
from supervisor.options.flag import Flag

INTRODUCTION = """\
Start a Kubernetes API server: etcd (unless --etcd-servers is given), certificates and three groups of worker
processes. It runs in the foreground until SIGTERM or Ctrl-C and prints the URL and a kubeconfig when it is ready."""

USAGE = "apiserver-supervisor start [flags]"

EXAMPLES = """\
  apiserver-supervisor start
  apiserver-supervisor start --instance=second --secure-port=auto
  apiserver-supervisor start --core-workers=4 --token-auth-file=tokens.csv"""

_INDENT = " " * 6


def render(width: int) -> str:
    """The help text, wrapped to `width` columns (0: not at all)."""
    parts = [_wrap(INTRODUCTION, width), f"Usage:\n  {USAGE}", f"Examples:\n{EXAMPLES}"]
    for group in GROUPS:
        flags = "\n".join(_flag(flag, width) for flag in sorted(group.flags, key=lambda flag: flag.name))
        parts.append(f"{group.name} flags:\n\n{flags}")
    return "\n\n".join(parts) + "\n"


def terminal_width() -> int:
    """The terminal's width; 0 when the output is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def _flag(flag: Flag, width: int) -> str:
    head = f"      --{flag.name}" + ("" if flag.type.bare else f" {flag.type.name}")
    text = flag.help
    if flag.default not in ("", (), {}, -1):
        text += f" (default {flag.type.format(flag.default)})"
    if flag.deprecated:
        text += f" (DEPRECATED: {flag.deprecated})"
    return f"{head}\n{_wrap(text, width, indent=_INDENT * 2)}"


def _wrap(text: str, width: int, *, indent: str = "") -> str:
    flat = " ".join(text.split())
    if not width:
        return indent + flat
    return textwrap.fill(flat, max(width, 40), initial_indent=indent, subsequent_indent=indent)
