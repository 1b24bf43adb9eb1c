"""Webhook configurations from a folder of files (plugin/webhook/manifest/loader)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apiserver_workers.admission.manifests import accepted, check_name, read_folder
from apiserver_workers.admission.webhook.source import Hook, hooks_of
from apiserver_workers.apimachinery import types
from apiserver_workers.apimachinery.builtin_kind import BuiltinKinds

Object = dict[str, Any]

GROUP = "admissionregistration.k8s.io"
ORIGIN = "manifest/"  # tells a webhook of a file apart from one of the API


def load_hooks(folder: str, plural: str) -> tuple[Sequence[Hook], str]:
    """The webhooks of a folder's configurations, by the names of these, and a hash of the files.

    Raises OSError, or ValueError for what can be no configuration of that kind.
    """
    manifests, digest = read_folder(folder)
    kind = BuiltinKinds(types.model()).stored(GROUP, plural)
    found: dict[str, Object] = {}
    seen: dict[str, str] = {}
    for file, document in manifests:
        try:
            obj = accepted(document, kind)
            name = obj["metadata"].get("name", "")
            check_name(name, file, seen)
            for hook in obj.get("webhooks") or ():
                _check_client(hook, name, file)
        except ValueError as error:
            raise ValueError(f"error loading {file}: {error}") from None
        found[name] = obj
    return tuple(hook for name in sorted(found) for hook in hooks_of(found[name], origin=ORIGIN)), digest


def _check_client(hook: Object, configuration: str, file: str) -> None:
    """Services are looked up in the API, which such a webhook must not depend on."""
    client, where = (
        hook.get("clientConfig") or {},
        f'webhook "{hook.get("name", "")}" in "{configuration}" (file "{file}")',
    )
    if client.get("service") is not None:
        raise ValueError(
            f"{where}: clientConfig.service is not supported for static manifests; use clientConfig.url instead"
        )
    if not client.get("url"):
        raise ValueError(f"{where}: clientConfig.url is required for static manifests")
