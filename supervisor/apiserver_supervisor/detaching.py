"""`start --detach`: the server is a process of its own, in a session of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from apiserver_supervisor.options.parsing import CompletedOptions
from apiserver_supervisor.run_folder import make_private

OUTPUT = "start.out"  # in the run folder: what `start` prints


def detach(options: CompletedOptions) -> int:
    """Start this command anew in the background, and with --wait wait until it is ready; the exit status."""
    folder = Path(options.run_dir)
    make_private(folder)
    told, tells = os.pipe()
    output = folder / OUTPUT
    with open(output, "w", opener=_private) as stream:
        server = subprocess.Popen(
            [sys.executable, *sys.orig_argv[1:], "--detach=false", "--wait=false", f"--ready-fd={tells}"],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(tells,),
        )
    os.close(tells)
    if not options.wait:
        print(f"starting in the background, pid {server.pid}; its output goes to {output}")
        return 0
    with os.fdopen(told) as pipe:
        ready = pipe.readline() == "ready\n"
    if ready:
        print(output.read_text(), end="")
        return 0
    status = server.wait()
    print(output.read_text(), end="", file=sys.stderr)
    output.unlink(missing_ok=True)
    return status or 1


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
