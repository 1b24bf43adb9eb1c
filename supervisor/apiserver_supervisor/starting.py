"""From arguments to a running server: options → Complete → Validate → run. Both commands begin here."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence

from apiserver_supervisor.options import FLAGS, api_enablement
from apiserver_supervisor.options.parsing import CompletedOptions, Options, OptionsError, parse
from apiserver_supervisor.options.profile import KUBE_APISERVER, START, Profile
from apiserver_supervisor.options.versions import served_minor

HELP_ALL = "--help-all"
NO_ANONYMOUS = (
    "AnonymousAuth is not allowed with the AlwaysAllow authorizer. Resetting AnonymousAuth to false. "
    "You should use a different authorizer"
)


def kube_apiserver() -> None:
    """The console script kube-apiserver."""
    from apiserver_supervisor.shell_completion import complete_kube_apiserver, variable

    if variable("kube-apiserver") in os.environ:
        complete_kube_apiserver()
    sys.exit(command(sys.argv[1:], KUBE_APISERVER))


def command(arguments: Sequence[str], profile: Profile = START) -> int:
    """Help, the version, or a server that runs until it is stopped; the exit status.

    Every fault of the options is told in one message on stderr, before anything is started or written.
    """
    if wanted := asks_for_help(arguments):
        from apiserver_supervisor.options.help import render, terminal_width

        everything = wanted == HELP_ALL or not profile.provides
        print(render(terminal_width(), profile, everything=everything), end="")
        return 0
    try:
        given = parse(arguments, os.environ, profile=profile)
        if version := _version(given):
            print(version)
            return 0
        options = complete_and_validate(given)
    except OptionsError as error:
        return _fail(str(error), f"see '{profile.command} --help' for usage")
    gc.disable()  # what the master loads stays: it is frozen before the first fork
    warn(given)
    _warn_of_completed(options)
    if given.anonymous_auth and not options.anonymous_auth:
        print(f"Warning: {NO_ANONYMOUS}", file=sys.stderr)
    if options.detach:
        from apiserver_supervisor.detaching import detach

        return detach(options)
    return _serve(options, arguments, flag_lines(given) if options.v >= 1 else [])


def asks_for_help(arguments: Sequence[str]) -> str:
    """The flag that asks for help, --help-all before the others; nothing if none does."""
    flags = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if HELP_ALL in flags:
        return HELP_ALL
    return next((flag for flag in flags if flag in ("--help", "-h", "--help=true")), "")


def complete_and_validate(given: Options) -> CompletedOptions:
    """Options that a server can be run with. Raises OptionsError; if completing fails nothing is validated."""
    from apiserver_supervisor.completion import complete
    from apiserver_supervisor.options.validation import validate

    options = complete(given)
    validate(options)
    return options


def warn(options: Options) -> None:
    """One line on stderr for each flag given that is deprecated, or has no effect yet."""
    for name in sorted(options.used):
        if warning := FLAGS[name].warning:
            print(warning, file=sys.stderr)


def _warn_of_completed(options: CompletedOptions) -> None:
    for warning in api_enablement.warnings(options):
        print(warning, file=sys.stderr)
    from apiserver_supervisor.preparation import absent_plugins

    wanted = options.admission_control or options.enable_admission_plugins
    if absent := absent_plugins(wanted):
        print(
            f"--enable-admission-plugins: this server has no {', '.join(absent)} yet, they do nothing", file=sys.stderr
        )


def flag_lines(options: Options) -> list[str]:
    """The value of every flag as it was typed, in upstream's form (component-base/cli/flag.PrintFlags)."""
    return [
        f'FLAG: --{name}="{FLAGS[name].type.format(getattr(options, FLAGS[name].field))}"' for name in sorted(FLAGS)
    ]


def _version(options: Options) -> str:
    """What --version prints; nothing when it only sets what is reported."""
    if options.version not in ("true", "raw"):
        return ""
    from apiserver_workers.server.config import ServerConfig
    from apiserver_workers.server.served_version import version_info

    info = version_info(
        ServerConfig(
            instance="",
            run_dir="",
            service_ip="",
            loopback_token="",
            kubernetes_version=served_minor(options.kubernetes_version),
            emulated_version=options.emulated_version,
            min_compatibility_version=options.min_compatibility_version,
        )
    )
    if options.version == "true":
        return f"Kubernetes {info['gitVersion']}"
    fields = ", ".join(f'{name[0].upper()}{name[1:]}:"{value}"' for name, value in info.items())
    return f"version.Info{{{fields}}}"


def _serve(options: CompletedOptions, arguments: Sequence[str], flags: Sequence[str]) -> int:
    from setproctitle import setproctitle

    from apiserver_supervisor.certificates import CertificateError
    from apiserver_supervisor.etcd import EtcdError
    from apiserver_supervisor.loop import StartError
    from apiserver_supervisor.master import Master
    from apiserver_supervisor.progress import Progress
    from apiserver_supervisor.run_folder import FolderInUse

    setproctitle(f"apiserver-supervisor: master ({options.instance})")
    os.umask(0o077)
    with Progress(quiet=not options.profile.provides) as progress:
        try:
            return Master(options, progress, arguments=arguments, flags=flags).run()
        except (FolderInUse, EtcdError, StartError, CertificateError) as error:
            progress.__exit__(None, None, None)
            return _fail(str(error))
        except OSError as error:
            progress.__exit__(None, None, None)
            return _fail(f"{error.filename or ''}: {error.strerror}".lstrip(": "))


def _fail(message: str, hint: str = "") -> int:
    print(f"error: {message}" + (f"\n{hint}" if hint else ""), file=sys.stderr)
    return 1
