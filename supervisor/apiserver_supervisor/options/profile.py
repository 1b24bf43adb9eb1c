"""The two commands that take these flags, and in which defaults they differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Profile:
    """One command. `provides`: what is not given (etcd, certificates, keys) is made, instead of being an error."""

    command: str
    introduction: str
    examples: tuple[str, ...]
    provides: bool
    defaults: Mapping[str, Any]  # by field, where they differ from the table's
    notes: Mapping[str, str]  # by flag, what --help adds


START = Profile(
    "apiserver-supervisor start",
    "Start a Kubernetes API server: etcd (unless --etcd-servers is given), certificates and three groups of worker "
    "processes. It runs in the foreground until SIGTERM or Ctrl-C and prints the URL and a kubeconfig when it is ready.",
    (
        "apiserver-supervisor start",
        "apiserver-supervisor start --instance=second --secure-port=auto",
        "apiserver-supervisor start --core-workers=4 --token-auth-file=tokens.csv",
        "apiserver-supervisor start --config=server.yaml",
    ),
    provides=True,
    defaults={"authorization_mode": ("RBAC",), "bind_address": "127.0.0.1", "cert_dir": "", "logtostderr": False},
    notes={
        "bind-address": "Other machines reach the server only with another one, such as 0.0.0.0.",
        "etcd-servers": "Without it an etcd of its own is started, meant for one machine.",
        "storage-media-type": "With an etcd of its own application/json.",
        "cert-dir": "By default pki in the data folder, where our own authority signs the pair.",
        "client-ca-file": "Without it there is an authority of our own, and a kubeconfig for the administrator.",
        "service-account-signing-key-file": "Made at the first start if no key is given.",
        "service-account-issuer": "By default https://kubernetes.default.svc.cluster.local.",
    },
)

KUBE_APISERVER = Profile(
    "kube-apiserver",
    "The Kubernetes API server validates and configures data for the API objects, which include pods, services, "
    "replication controllers and others. It serves REST operations and is the front of the cluster's shared state, "
    "through which all other components interact.",
    (
        "kube-apiserver --etcd-servers=http://127.0.0.1:2379 --service-account-issuer=https://kubernetes.default.svc ...",
    ),
    provides=False,
    defaults={},
    notes={},
)
