"""Whether the code on disk loads and a server with these flags could take over from one that runs.

Prints as JSON the values of the options that a reload cannot change. Exits with 1 and a message if anything is wrong.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from apiserver_supervisor.options.parsing import CompletedOptions, OptionsError, parse
from apiserver_supervisor.options.profile import KUBE_APISERVER, START
from apiserver_supervisor.run_folder import ROLES

# loaded before forking, so that all processes share the memory
PRELOADED = ("apiserver_workers.server.process.arbiter", *(f"apiserver_workers.{role}.app" for role in ROLES))
# what the listening sockets, the locks and the embedded etcd were made of
FIXED = (
    *("bind_address", "secure_port", "insecure_bind_address", "insecure_port", "debug_socket_path"),
    *("run_dir", "data_dir", "instance"),
)


def fixed_options(options: CompletedOptions) -> dict[str, Any]:
    """The completed options that stay as they are until the server is stopped."""
    return {name: getattr(options, name) for name in FIXED} | {"etcd_servers": bool(options.etcd_servers)}


def check(command: str, arguments: Sequence[str]) -> int:
    """Load everything that a server loads; the exit status. `command` is the one that the arguments are of."""
    from apiserver_supervisor.certificates import CertificateError, check_folder
    from apiserver_supervisor.starting import complete_and_validate

    profile = KUBE_APISERVER if command == KUBE_APISERVER.command else START
    try:
        options = complete_and_validate(parse(arguments, os.environ, profile=profile))
        for module in ("apiserver_supervisor.master", *PRELOADED):
            importlib.import_module(module)
        if profile.provides:
            check_folder(Path(options.data_dir, "pki"))
    except (OptionsError, CertificateError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(fixed_options(options)))
    return 0


if __name__ == "__main__":
    sys.exit(check(sys.argv[1], sys.argv[2:]))
