"""What is wrong with the files that authorization's flags name, found before anything starts.

`options` are completed options: attributes named like the flags.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apiserver_workers.authorization.abac import load_policy_file
from apiserver_workers.authorization.configuration import load_authorization_config
from apiserver_workers.server.client.kubeconfig import load_kubeconfig
from apiserver_workers.server.file_faults import file_fault


def file_faults(options: Any) -> Iterator[str]:
    """A fault for each file that cannot be read or used; each names its flag."""
    yield from file_fault("authorization-policy-file", options.authorization_policy_file, load_policy_file)
    yield from file_fault(
        "authorization-webhook-config-file", options.authorization_webhook_config_file, load_kubeconfig
    )

    def load(path: str) -> None:
        chain = load_authorization_config(path)
        for entry in chain:
            if entry.webhook is not None:
                load_kubeconfig(entry.webhook.kubeconfig)
        has_abac = any(entry.type == "ABAC" for entry in chain)
        if has_abac and not options.authorization_policy_file:
            raise ValueError(f"{path}: authorizer ABAC needs --authorization-policy-file")
        if options.authorization_policy_file and not has_abac:
            raise ValueError(f"{path}: cannot specify --authorization-policy-file without an authorizer ABAC")

    yield from file_fault("authorization-config", options.authorization_config, load)
