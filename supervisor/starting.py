"""`start`: options → Complete → Validate → run."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from supervisor.completion import complete
from supervisor.options import FLAGS, api_enablement
from supervisor.options.parsing import OptionsError, parse, validate


def start(arguments: Sequence[str]) -> int:
    """Run a server until it is stopped; the exit status. Every fault of the options is one message on stderr."""
    try:
        options = complete(parse(arguments))
        validate(options)
    except OptionsError as error:
        return _fail(str(error))
    for name in sorted(options.given):
        flag = FLAGS[name.replace("_", "-")]
        if flag.deprecated:
            print(f"Flag --{flag.name} has been deprecated, {flag.deprecated}", file=sys.stderr)
    for warning in api_enablement.warnings(options):
        print(warning, file=sys.stderr)
    return _serve(options)


def _serve(options: object) -> int:
    from setproctitle import setproctitle

    from supervisor.etcd import EtcdError
    from supervisor.master import Master, StartError
    from supervisor.options.parsing import Options
    from supervisor.progress import Progress
    from supervisor.run_folder import FolderInUse

    assert isinstance(options, Options)
    setproctitle(f"apiserver-supervisor: master ({options.instance})")
    os.umask(0o077)
    with Progress() as progress:
        try:
            return Master(options, progress).run()
        except (FolderInUse, EtcdError, StartError) as error:
            progress.__exit__(None, None, None)
            return _fail(str(error))
        except OSError as error:
            progress.__exit__(None, None, None)
            return _fail(f"{error.filename or ''}: {error.strerror}".lstrip(": "))


def _fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 1
