"""kube-system/extension-apiserver-authentication: how extension servers authenticate what this server passes on.

Servers share the object: each adds its own certificates and names to what the others have put there.
"""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from apiserver_workers.core.bootstrap.objects import Objects
from apiserver_workers.server.config import ServerConfig

Object = dict[str, Any]

INTERVAL = 5.0  # so that it follows the files, and is back when somebody deletes it
NAME, NAMESPACE = "extension-apiserver-authentication", "kube-system"
BUNDLES = ("client-ca-file", "requestheader-client-ca-file")


async def ensure_authentication_info(objects: Objects, config: ServerConfig) -> None:
    """Create or complete the config map. Raises ApiError, or OSError for a CA file that cannot be read."""
    data = own_data(config)
    if not data:
        return
    if objects.get("", "configmaps", NAME, NAMESPACE) is None:
        metadata = {"name": NAME, "namespace": NAMESPACE}
        await objects.create("", "configmaps", {"metadata": metadata, "data": data})
    else:
        await objects.update("", "configmaps", NAME, lambda live: completed(live, data), namespace=NAMESPACE)


def own_data(config: ServerConfig) -> dict[str, str]:
    """What this server has to say."""
    data = {}
    if config.client_ca_file:
        data["client-ca-file"] = Path(config.client_ca_file).read_text()
    if config.requestheader_client_ca_file:
        data["requestheader-client-ca-file"] = Path(config.requestheader_client_ca_file).read_text()
        lists = {
            "requestheader-username-headers": config.requestheader_username_headers,
            "requestheader-group-headers": config.requestheader_group_headers,
            "requestheader-uid-headers": config.requestheader_uid_headers,
            "requestheader-extra-headers-prefix": config.requestheader_extra_headers_prefix,
            "requestheader-allowed-names": config.requestheader_allowed_names,
        }
        if not config.requestheader_uid_headers:
            del lists["requestheader-uid-headers"]  # extension servers of old do not know it
        data.update({key: json.dumps(names) for key, names in lists.items()})
    return data


def completed(existing: Object, own: dict[str, str]) -> Object | None:
    """The config map with our data added to what it has; None if that changes nothing."""
    data = existing.get("data") or {}
    merged = {**data, **{key: merge(key, data.get(key, ""), value) for key, value in own.items()}}
    return {**existing, "data": merged} if merged != data else None


def merge(key: str, theirs: str, ours: str) -> str:
    """Both values as one: certificates that still hold, or names; each once, theirs first."""
    if key in BUNDLES:
        return _merge_bundles(theirs, ours)
    try:
        known = json.loads(theirs) if theirs else []
    except ValueError:
        known = []
    return json.dumps([*known, *(name for name in json.loads(ours) if name not in known)])


def _merge_bundles(theirs: str, ours: str) -> str:
    now = datetime.datetime.now(datetime.UTC)
    certificates: dict[bytes, None] = {}
    for bundle in (theirs, ours):
        try:
            parsed = x509.load_pem_x509_certificates(bundle.encode()) if bundle.strip() else []
        except ValueError:
            parsed = []
        certificates.update(
            (cert.public_bytes(Encoding.PEM), None) for cert in parsed if cert.not_valid_after_utc > now
        )
    return b"".join(certificates).decode()
