"""A valid object of every stored built-in kind (tests/data/manifests.yaml)."""

from __future__ import annotations

import base64
import functools
from pathlib import Path
from typing import Any

import yaml
from apiserver_workers.apimachinery.resources import ResourceInfo, builtin_resources
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DATA = Path(__file__).parent / "data" / "manifests.yaml"


@functools.cache
def _texts() -> dict[tuple[str, str], str]:
    """The manifests as text, by apiVersion and kind."""
    texts = DATA.read_text().split("\n---\n")
    parsed = [yaml.safe_load(one) for one in texts]
    return {(one["apiVersion"], one["kind"]): text for one, text in zip(parsed, texts, strict=True)}


@functools.cache
def certificate_request() -> str:
    """A PEM certificate request in base64."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sample")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()


def manifest(info: ResourceInfo, name: str, namespace: str) -> dict[str, Any]:
    """A valid object of the resource's kind; those whose names follow rules of their own have another name in it."""
    text = _texts()[info.group_version, info.kind]
    text = text.replace("NAMESPACE", namespace).replace("NAME", name).replace("REQUEST", certificate_request())
    obj: dict[str, Any] = yaml.safe_load(text)
    if info.namespaced:
        obj["metadata"]["namespace"] = namespace
    return obj


def stored_resources() -> list[ResourceInfo]:
    """The resources of the core server that lie in etcd."""
    return [one for one in builtin_resources().values() if "update" in one.verbs and one.server == "core"]
