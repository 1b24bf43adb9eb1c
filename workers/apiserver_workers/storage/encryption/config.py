"""EncryptionConfiguration: from the file of --encryption-provider-config to the transformers of each resource.

Messages are upstream's (k8s.io/apiserver/pkg/server/options/encryptionconfig and apis/apiserver/validation). No message
shows a key.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from apiserver_workers.apimachinery import codec
from apiserver_workers.storage.encryption.transformers import (
    AESCBC,
    AESGCM,
    Cipher,
    Identity,
    Secretbox,
    Transformer,
    Transformers,
)
from apiserver_workers.storage.encryption.validation import faults

Object = dict[str, Any]
GroupResource = tuple[str, str]

API_VERSION, KIND = "apiserver.config.k8s.io/v1", "EncryptionConfiguration"
CIPHERS: dict[str, Callable[[bytes], Cipher]] = {"aescbc": AESCBC, "aesgcm": AESGCM, "secretbox": Secretbox}
NO_KMS = "KMS providers are not supported by this server, only aescbc, aesgcm, secretbox and identity"


class EncryptionConfigError(Exception):
    """The file cannot be used; the message names it."""


@dataclass(frozen=True, slots=True)
class EncryptionConfig:
    """What a file says: the transformers by group and resource ("*" for all); the file's content, which holds keys, and
    a digest of it."""

    rules: Mapping[GroupResource, Transformers]
    digest: str
    content: bytes = field(repr=False)


def load_encryption_config(path: str, *, reload: bool = False) -> EncryptionConfig:
    """Read the file of --encryption-provider-config; `reload` if it will be read again when it changes.

    Raises EncryptionConfigError with all that is wrong.
    """
    data = _read(path)
    document = _decode(path, data)
    found = [f"{fault.field}: {fault.body}" for fault in faults(document, reload=reload)]
    if found:
        raise EncryptionConfigError(_parsing(found[0] if len(found) == 1 else f"[{', '.join(found)}]"))
    return EncryptionConfig(_rules(document), hashlib.sha256(data).hexdigest(), data)


def _parsing(why: str) -> str:
    return f"error while parsing file: {why}"


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        why = f'error reading encryption provider configuration file "{path}": open {path}: {(error.strerror or "").lower()}'
        raise EncryptionConfigError(f"error while loading file: {why}") from None
    if not data:
        raise EncryptionConfigError(
            f'error while loading file: encryption provider configuration file "{path}" is empty'
        )
    return data


def _decode(path: str, data: bytes) -> Object:
    def fail(why: object) -> EncryptionConfigError:
        return EncryptionConfigError(_parsing(f'error decoding encryption provider configuration file "{path}": {why}'))

    try:
        document, repeated = codec.load_yaml(data)
    except codec.DecodeError as error:
        raise fail(f"couldn't get version/kind; json parse error: {error}") from None
    if not isinstance(document, dict):
        raise fail("couldn't get version/kind; json parse error: the document is no object")
    version, kind = document.get("apiVersion"), document.get("kind")
    if not kind:
        raise fail("Object 'Kind' is missing")
    if not version:
        raise fail("Object 'apiVersion' is missing")
    if (version, kind) != (API_VERSION, KIND):
        raise fail(f'no kind "{kind}" is registered for version "{version}" in scheme')
    if repeated or (wrong := _shape(document)):
        raise fail(f"strict decoding error: {repeated[0] if repeated else wrong}")
    return document


# The type of each field; a list's elements and a map's fields are nested.
_KEYS = {"keys": [{"name": str, "secret": str}]}
_SHAPE: Object = {
    "kind": str,
    "apiVersion": str,
    "metadata": None,
    "resources": [
        {
            "resources": [str],
            "providers": [
                {
                    "aescbc": _KEYS,
                    "aesgcm": _KEYS,
                    "secretbox": _KEYS,
                    "identity": {},
                    "kms": {"apiVersion": str, "name": str, "endpoint": str, "cachesize": int, "timeout": str},
                }
            ],
        }
    ],
}


def _shape(value: Any, shape: Any = _SHAPE, path: str = "") -> str:
    """What does not fit the configuration's type; "" when all does. Says nothing of values, which may be keys."""
    if value is None or shape is None:
        return ""
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return f"{path} must be an object"
        for name in value:
            if name not in shape:
                return f'unknown field "{f"{path}.{name}".lstrip(".")}"'
        return next(filter(None, (_shape(item, shape[name], f"{path}.{name}") for name, item in value.items())), "")
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{path.lstrip('.')} must be a list"
        return next(filter(None, (_shape(item, shape[0], f"{path}[{i}]") for i, item in enumerate(value))), "")
    return "" if isinstance(value, shape) else f"{path.lstrip('.')} must be of type {shape.__name__}"


def _rules(document: Object) -> dict[GroupResource, Transformers]:
    """The transformers of each rule. An earlier rule for all resources of a group hides no later one: that is an error."""
    found: dict[GroupResource, list[Transformer]] = {}
    for section in document["resources"]:
        transformers = [one for provider in section["providers"] for one in _transformers(provider)]
        for name in section["resources"]:
            resource, _, group = name.partition(".")
            for wider in ((group, "*"), ("*", "*")):
                if wider in found:
                    raise EncryptionConfigError(
                        f'resource "{name}" is masked by earlier rule "{"*." + wider[0] if wider[0] else "*."}"'
                    )
            found.setdefault((group, resource), []).extend(transformers)
    return {rule: Transformers(transformers) for rule, transformers in found.items()}


def _transformers(provider: Object) -> list[Transformer]:
    """A provider's, one for each key."""
    name, settings = next((name, settings) for name, settings in provider.items() if settings is not None)
    if name == "identity":
        return [Transformer(b"", Identity())]
    if name == "kms":
        raise EncryptionConfigError(NO_KMS)
    made = []
    for key in settings["keys"]:
        secret = base64.b64decode(key["secret"])
        made.append(Transformer(f"k8s:enc:{name}:v1:{key['name']}:".encode(), CIPHERS[name](secret), secret))
    return made
