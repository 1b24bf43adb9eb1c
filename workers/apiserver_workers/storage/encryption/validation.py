"""What may be wrong with an EncryptionConfiguration, in upstream's order and words."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from typing import Any

from apiserver_workers.apimachinery.errors import FieldError
from apiserver_workers.apimachinery.validation.field import each, invalid, required

Object = dict[str, Any]

PROVIDERS = ("kms", "aesgcm", "aescbc", "secretbox", "identity")
KEY_SIZES = {"aesgcm": (16, 24, 32), "aescbc": (16, 24, 32), "secretbox": (32,)}

NO_PROVIDER = "provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, Secretbox, Identity"
SEVERAL_PROVIDERS = "more than one provider specified in a single element, should split into different list elements"
CAPITALS = "resource name should not contain capital letters"
STAR = "use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources"
NO_REST_API = "resources which do not have REST API/s cannot be encrypted"
EVENTS = (
    "'*.events.k8s.io' objects are stored using the 'events' API group in etcd. Use 'events' instead in the config file"
)
EXTENSIONS = "'extensions' group has been removed and cannot be used for encryption"
ACROSS_GROUPS = "encrypting the same resource across groups is not supported"
DUPLICATE = "the same resource cannot be specified multiple times"
OVERLAP = "using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed as they will be masked"
INTERNAL = ("apiserveripinfo", "serviceipallocations", "servicenodeportallocations")


def faults(config: Object, *, reload: bool) -> Iterator[FieldError]:
    """Every fault of a configuration whose fields have the right types. No value of a key is shown."""
    sections = config.get("resources")
    if not sections:
        yield required("resources", "at least one resources is required")
    kms_names: set[str] = set()
    for path, section in each("resources", sections):
        resources, providers = section.get("resources") or [], section.get("providers") or []
        where = f"{path}.resources"
        if not resources:
            yield required(where, f"at least one {where} is required")
        yield from _overlap(resources, where)
        for place, name in each(where, resources):
            if why := _wrong_name(name):
                yield invalid(place, name, why)
        where = f"{path}.providers"
        if not providers:
            yield required(where, f"at least one {where} is required")
        for place, provider in each(where, providers):
            yield from _provider(provider, place, kms_names, reload)


def _overlap(resources: Sequence[str], path: str) -> Iterator[FieldError]:
    rules = [(name.partition(".")[2], name.partition(".")[0]) for name in resources]
    if len(set(rules)) != len(rules):
        yield invalid(path, resources, DUPLICATE)
    different = set(rules)
    everything = ("*", "*") in different and len(different) > 1
    if everything or any(
        resource == "*" and other[0] == group and other[1] != "*"
        for group, resource in different
        for other in different
    ):
        yield invalid(path, resources, OVERLAP)


def _wrong_name(name: str) -> str:
    resource, _, group = name.partition(".")
    if name.lower() != name:
        return CAPITALS
    if name == "*":
        return STAR
    if name in INTERNAL:
        return NO_REST_API
    if group == "events.k8s.io":
        return EVENTS
    if group == "extensions":
        return EXTENSIONS
    return ACROSS_GROUPS if group == "*" and resource != "*" else ""


def _provider(provider: Object, path: str, kms_names: set[str], reload: bool) -> Iterator[FieldError]:
    given = [name for name in PROVIDERS if provider and provider.get(name) is not None]
    if len(given) != 1:
        shown = dict.fromkeys(given, "REDACTED")
        yield invalid(path, shown, SEVERAL_PROVIDERS if given else NO_PROVIDER)
        return
    name = given[0]
    if name in KEY_SIZES:
        yield from _keys(provider[name].get("keys"), f"{path}.{name}.keys", KEY_SIZES[name])
    elif name == "kms":
        yield from _kms(provider["kms"], f"{path}.kms", kms_names, reload)
        kms_names.add(provider["kms"].get("name", ""))


def _keys(keys: Sequence[Object] | None, path: str, sizes: Sequence[int]) -> Iterator[FieldError]:
    if not keys:
        yield required(path, "at least one keys is required")
    for place, key in each(path, keys):
        if not key.get("name"):
            yield required(f"{place}.name", "name is a mandatory field for a key")
        if not key.get("secret"):
            yield required(f"{place}.secret", "secret is a mandatory field for a key")
            continue
        try:
            size = len(base64.b64decode(re.sub(r"[\r\n]", "", key["secret"]), validate=True))
        except binascii.Error:
            yield invalid(f"{place}.secret", "REDACTED", "secrets must be base64 encoded")
            continue
        if size not in sizes:
            expected = " ".join(map(str, sizes))
            why = f"secret is not of the expected length, got {size}, expected one of [{expected}]"
            yield invalid(f"{place}.secret", "REDACTED", why)


def _kms(kms: Object, path: str, names: set[str], reload: bool) -> Iterator[FieldError]:
    version, name, endpoint = kms.get("apiVersion") or "v1", kms.get("name") or "", kms.get("endpoint") or ""
    if not name:
        yield required(f"{path}.name", "name is a mandatory field for a provider")
    if version != "v1" and ":" in name:
        yield invalid(f"{path}.name", name, f"invalid KMS provider name {name}, must not contain ':'")
    if (reload or version != "v1") and name in names:
        yield invalid(f"{path}.name", name, f"duplicate KMS provider name {name}, names must be unique")
    if not endpoint:
        yield invalid(f"{path}.endpoint", "", "endpoint is a mandatory field for a kms")
    elif not endpoint.startswith("unix:"):
        scheme = endpoint.partition(":")[0] if ":" in endpoint else ""
        why = f'unsupported scheme "{scheme}" for KMS provider, only unix is supported'
        yield invalid(f"{path}.endpoint", endpoint, why)
    if version != "v1" and kms.get("cachesize") is not None:
        yield invalid(f"{path}.cachesize", kms["cachesize"], "cachesize is not supported in v2")
    if version == "v1" and kms.get("cachesize") == 0:
        yield invalid(f"{path}.cachesize", 0, "cachesize should be a positive value, or negative to disable")
    if version not in ("v1", "v2"):
        why = f"unsupported apiVersion {version} for KMS provider, only v1 and v2 are supported"
        yield invalid(f"{path}.apiVersion", version, why)
