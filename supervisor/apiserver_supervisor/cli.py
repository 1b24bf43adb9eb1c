"""The command line. Commands import what they need when they run, so that --help is quick."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from apiserver_supervisor.commands.instances import delete, list_instances, reset
from apiserver_supervisor.commands.reading import completion, kubeconfig, logs, version, version_text
from apiserver_supervisor.commands.running import reload, restart, scale, status, stop
from apiserver_supervisor.commands.serving import config, start
from apiserver_supervisor.ha.commands import ha

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
COMMANDS = (
    *(start, config, status, stop, restart, scale, reload, logs, kubeconfig),
    *(list_instances, reset, delete, ha, completion, version),
)
PROGRAM = "apiserver-supervisor"
INTERRUPTED = 130


def _fail(message: str, status: int) -> NoReturn:
    click.echo(f"error: {message}", err=True)
    sys.exit(status)


def _print_version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        click.echo(version_text())
        context.exit()


class Commands(click.Group):
    """Lists the commands in the order of COMMANDS; an error begins with `error:`, as those of `start` do."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [command.name for command in COMMANDS if command.name]

    def main(self, args: Sequence[str] | None = None, **options: Any) -> Any:  # type: ignore[override]
        if not options.pop("standalone_mode", True):
            return super().main(args, standalone_mode=False, **options)
        try:
            sys.exit(super().main(args, standalone_mode=False, **options))
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx else PROGRAM
            _fail(f"{error.format_message()}\nsee '{path} --help' for usage", error.exit_code)
        except click.ClickException as error:
            _fail(error.format_message(), error.exit_code)
        except click.Abort:
            sys.exit(INTERRUPTED)


@click.group(cls=Commands, context_settings=CONTEXT)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Print the versions.",
)
def main() -> None:
    """A Kubernetes API server whose processes are supervised.

    \b
    apiserver-supervisor start          serve until Ctrl-C; prints the URL and a kubeconfig
    apiserver-supervisor status         the processes of the running server
    apiserver-supervisor kubeconfig --merge && kubectl get namespaces

    Every command takes --instance NAME to tell several servers on one machine apart. A command exits with 0 when it did
    what it says, with 1 when it could not, with 2 when its arguments are wrong, and with 130 when it was
    interrupted; `status` exits with 2 also when the server is not ready.
    """


for _command in COMMANDS:
    main.add_command(_command)


if __name__ == "__main__":
    main()
