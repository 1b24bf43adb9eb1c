"""`start` and `config`: the commands that take the server's own flags."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from apiserver_supervisor.options.flag import Flag

FOREIGN_OPTIONS = {"ignore_unknown_options": True, "allow_interspersed_args": False}


class FlagCommand(click.Command):
    """A command that takes the server's flags unparsed; for a shell that completes they are options like others."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        own = super().get_params(ctx)
        if not ctx.resilient_parsing:
            return own
        from apiserver_supervisor.options import FLAGS

        return own + [_option(flag) for name, flag in sorted(FLAGS.items()) if not flag.hidden]


def _option(flag: Flag) -> click.Option:
    from apiserver_supervisor.options.flag import BOOL

    def values(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from apiserver_supervisor.options.values import values_of

        known = values_of(flag.name)
        if not known:
            return [CompletionItem(incomplete, type="file")]
        before, comma, last = incomplete.rpartition(",")
        return [CompletionItem(before + comma + value) for value in known if value.startswith(last)]

    names = [f"--{flag.name}", f"flag_{flag.field}"]
    return click.Option(names, is_flag=flag.type is BOOL, help=flag.help, expose_value=False, shell_complete=values)


@click.command(
    cls=FlagCommand,
    context_settings=FOREIGN_OPTIONS,
    add_help_option=False,
    short_help="Start a server, in the foreground or with --detach.",
)
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
def start(flags: tuple[str, ...]) -> None:
    """Start a server; `start --help` lists the everyday flags, `start --help-all` all of them."""
    from apiserver_supervisor.starting import command

    sys.exit(command(flags))


@click.command(
    cls=FlagCommand, context_settings=FOREIGN_OPTIONS, short_help="Show what `start` would run with, and why."
)
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", help="How to print it.")
@click.option("--all", "everything", is_flag=True, help="Also options that have their default.")
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
def config(output: str, everything: bool, flags: tuple[str, ...]) -> None:
    """Show the options that `start` would run with, and where each comes from.

    The FLAGS are those of `start`. A flag comes before the environment (APISERVER_SUPERVISOR_SECURE_PORT), that before the
    file of --config, that before the default. Passwords in URLs are not shown.
    """
    from apiserver_supervisor.configuration import show

    sys.exit(show(flags, output=output, everything=everything))
