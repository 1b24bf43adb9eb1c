"""Completion scripts for bash, zsh and fish, made from the commands and the flag table."""

from __future__ import annotations

from typing import Any

import click

from apiserver_supervisor.options import FLAGS
from apiserver_supervisor.options.flag import BOOL

PROGRAM = "apiserver-supervisor"
TAKE_FLAGS = ("start", "config")  # commands that take the server's flags


def script(shell: str, main: click.Group) -> str:
    """The completion script of a shell: bash, zsh or fish."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](main)


def options_of(command: click.Command) -> list[tuple[str, str, bool]]:
    """The long options of a command, or of all commands of a group: name, help, and whether a value follows."""
    if isinstance(command, click.Group):
        return list(dict.fromkeys(option for _, inner in _commands(command) for option in options_of(inner)))
    own = [
        (name, str(getattr(option, "help", "") or ""), not getattr(option, "is_flag", False))
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden
        for name in option.opts
        if name.startswith("--")
    ]
    if command.name in TAKE_FLAGS:
        own += [
            (f"--{name}", flag.help, flag.type is not BOOL) for name, flag in sorted(FLAGS.items()) if not flag.hidden
        ]
    return list({name: (name, text, value) for name, text, value in own}.values())


def _commands(main: click.Group) -> list[tuple[str, click.Command]]:
    return sorted(main.commands.items())


def _words(command: click.Command) -> str:
    inner = [name for name, _ in _inner(command)]
    return " ".join(inner + [name + ("=" if value else "") for name, _, value in options_of(command)])


def _inner(command: click.Command) -> list[tuple[str, click.Command]]:
    return _commands(command) if isinstance(command, click.Group) else []


def _first_sentence(text: str) -> str:
    return " ".join(text.split()).partition(". ")[0].rstrip(".")


def _bash(main: click.Group) -> str:
    cases = "\n".join(f'    {name}) words="{_words(command)}" ;;' for name, command in _commands(main))
    names = " ".join(name for name, _ in _commands(main))
    server = " ".join(
        f"--{name}" + ("" if flag.type is BOOL else "=") for name, flag in sorted(FLAGS.items()) if not flag.hidden
    )
    return f"""\
# bash completion of {PROGRAM} and kube-apiserver
_apiserver_supervisor() {{
  local current="${{COMP_LINE:0:$COMP_POINT}}" words
  current="${{current##*[[:space:]]}}"
  if [[ $1 == *kube-apiserver ]]; then
    words="{server}"
  elif ((COMP_CWORD == 1)); then
    words="{names}"
  else
    case ${{COMP_WORDS[1]}} in
{_indented(cases)}
    esac
  fi
  if [[ $current == --*=* ]]; then
    COMPREPLY=($(compgen -f -- "${{current#*=}}"))
    return
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [[ ${{COMPREPLY[0]}} == *= ]] && compopt -o nospace 2>/dev/null
  return 0
}}
complete -F _apiserver_supervisor {PROGRAM} kube-apiserver
"""


def _indented(text: str) -> str:
    return "\n".join("  " + line for line in text.splitlines())


def _zsh(main: click.Group) -> str:
    def entry(option: tuple[str, str, bool]) -> str:
        name, text, value = option
        return f"'{name}{'=' if value else ''}[{_quoted(text)}]{':value:_files' if value else ''}'"

    def _quoted(text: str) -> str:
        kept = _first_sentence(text).replace("'", "'\\''").replace("[", "(").replace("]", ")")
        return kept.replace(":", "\\:")

    names = " ".join(f"'{name}:{_quoted(command.get_short_help_str(100))}'" for name, command in _commands(main))

    def arguments(command: click.Command) -> str:
        inner = " ".join(name for name, _ in _inner(command))
        return " ".join(([f"'1:command:({inner})'"] if inner else []) + [*map(entry, options_of(command))])

    cases = "\n".join(f"    {name}) _arguments {arguments(command)} ;;" for name, command in _commands(main))
    return f"""\
#compdef {PROGRAM} kube-apiserver
_apiserver_supervisor() {{
  local -a commands
  commands=({names})
  if [[ $service == kube-apiserver ]]; then
    words=({PROGRAM} start "${{(@)words[2,-1]}}")
    ((CURRENT++))
  fi
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
{cases}
  esac
}}
compdef _apiserver_supervisor {PROGRAM} kube-apiserver
"""


def _fish(main: click.Group) -> str:
    lines = [f"# fish completion of {PROGRAM} and kube-apiserver", f"complete -c {PROGRAM} -f"]
    for name, command in _commands(main):
        lines.append(_fish_line(f"-n __fish_use_subcommand -a {name}", command.get_short_help_str(100)))
        seen = f"-n '__fish_seen_subcommand_from {name}'"
        lines += [_fish_line(f"{seen} -a {inner}", one.get_short_help_str(100)) for inner, one in _inner(command)]
        where = f"-c {PROGRAM} {seen}"
        lines += [_fish_option(where, option) for option in options_of(command)]
    start: Any = main.commands["start"]
    lines += [_fish_option("-c kube-apiserver", option) for option in options_of(start)]
    return "\n".join(lines) + "\n"


def _fish_line(condition: str, text: str) -> str:
    return f"complete -c {PROGRAM} {condition} -d '{_fish_quoted(text)}'"


def _fish_option(where: str, option: tuple[str, str, bool]) -> str:
    name, text, value = option
    return f"complete {where} -l {name[2:]}{' -r -F' if value else ''} -d '{_fish_quoted(text)}'"


def _fish_quoted(text: str) -> str:
    return _first_sentence(text).replace("\\", "\\\\").replace("'", "\\'")
