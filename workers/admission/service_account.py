"""ServiceAccount: every pod runs as an account, and finds a token of it in its containers."""

from __future__ import annotations

from typing import Any

from workers.admission.plugin import Object, Plugin, forbidden, on
from workers.apimachinery.names import generate_name
from workers.registry.attributes import CREATE, Attributes

DEFAULT = "default"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME_PREFIX = "kube-api-access-"
MIRROR = "kubernetes.io/config.mirror"
ENFORCE = "kubernetes.io/enforce-mountable-secrets"
# An hour, and seven seconds by which upstream tells its own tokens from others.
TOKEN_SECONDS = 3607


class ServiceAccount(Plugin):
    """plugin/pkg/admission/serviceaccount."""

    operations = frozenset((CREATE,))
    resources = on("pods")

    async def admit(self, attributes: Attributes) -> None:
        pod = attributes.obj
        assert pod is not None
        if MIRROR in (pod["metadata"].get("annotations") or {}):
            return
        spec = pod["spec"]
        if not spec.get("serviceAccountName"):
            spec["serviceAccountName"] = DEFAULT
        spec["serviceAccount"] = spec["serviceAccountName"]
        account = await self._account(attributes, spec["serviceAccountName"])
        if mounts_token(spec, account):
            mount_token(spec)
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [{"name": one.get("name", "")} for one in account["imagePullSecrets"]]

    async def validate(self, attributes: Attributes) -> None:
        pod = attributes.obj
        assert pod is not None
        spec = pod["spec"]
        if MIRROR in (pod["metadata"].get("annotations") or {}):
            self._validate_mirror(attributes, spec)
            return
        account = await self._account(attributes, spec.get("serviceAccountName") or DEFAULT)
        if (account["metadata"].get("annotations") or {}).get(ENFORCE, "").lower() in ("true", "1", "t"):
            self._limit_secrets(attributes, spec, account)

    async def _account(self, attributes: Attributes, name: str) -> Object:
        namespace = attributes.namespace
        entry = await self.latest("", "serviceaccounts", namespace, name)
        if entry is None:
            text = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
            raise forbidden(attributes, text)
        return entry.obj

    @staticmethod
    def _validate_mirror(attributes: Attributes, spec: Object) -> None:
        if spec.get("serviceAccountName"):
            raise forbidden(attributes, "a mirror pod may not reference service accounts")
        for volume in spec.get("volumes") or ():
            sources = (volume.get("projected") or {}).get("sources") or ()
            if volume.get("secret") is not None:
                raise forbidden(attributes, "a mirror pod may not reference secrets")
            if any(source.get("serviceAccountToken") is not None for source in sources):
                raise forbidden(attributes, "a mirror pod may not use ServiceAccountToken volume projections")

    @staticmethod
    def _limit_secrets(attributes: Attributes, spec: Object, account: Object) -> None:
        allowed = {one.get("name") for one in account.get("secrets") or ()}
        name = account["metadata"]["name"]
        for volume in spec.get("volumes") or ():
            secret = (volume.get("secret") or {}).get("secretName")
            if secret is not None and secret not in allowed:
                text = f'volume with secret.secretName="{secret}" is not allowed because service account {name}'
                raise forbidden(attributes, f"{text} does not reference that secret")
        for container, variable, secret in secret_references(spec):
            if secret not in allowed:
                text = f'container {container} with envVar {variable} referencing secret.secretName="{secret}"'
                raise forbidden(
                    attributes, f"{text} is not allowed because service account {name} does not reference that secret"
                )
        pull = {one.get("name") for one in account.get("imagePullSecrets") or ()}
        for index, one in enumerate(spec.get("imagePullSecrets") or ()):
            if one.get("name") not in pull:
                text = (
                    f'imagePullSecrets[{index}].name="{one.get("name")}" is not allowed because service account {name}'
                )
                raise forbidden(attributes, f"{text} does not reference that imagePullSecret")


def secret_references(spec: Object) -> list[tuple[str, str, str]]:
    """(container, variable, secret) of all variables that come from secrets."""
    found = []
    for field in ("initContainers", "containers"):
        for container in spec.get(field) or ():
            for variable in container.get("env") or ():
                reference = (variable.get("valueFrom") or {}).get("secretKeyRef")
                if reference is not None:
                    found.append((container.get("name", ""), variable.get("name", ""), reference.get("name", "")))
    return found


def mounts_token(spec: Object, account: Object) -> bool:
    """The pod's own word first, then its account's; yes if neither says."""
    for holder in (spec, account):
        if (choice := holder.get("automountServiceAccountToken")) is not None:
            return bool(choice)
    return True


def mount_token(spec: Object) -> None:
    """Mount a projected token where a container has nothing at the usual path, in place."""
    bare = [
        container
        for field in ("initContainers", "containers")
        for container in spec.get(field) or ()
        if all(mount.get("mountPath") != MOUNT_PATH for mount in container.get("volumeMounts") or ())
    ]
    if not bare:
        return
    volumes = spec.get("volumes") or []
    name = next((one["name"] for one in volumes if one.get("name", "").startswith(VOLUME_PREFIX)), "")
    if not name:
        name = generate_name(VOLUME_PREFIX)
        spec["volumes"] = [*volumes, {"name": name, "projected": token_projection()}]
    for container in bare:
        mount = {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}
        container["volumeMounts"] = [*(container.get("volumeMounts") or ()), mount]


def token_projection() -> dict[str, Any]:
    """The token, the cluster's CA and the namespace's name."""
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [namespace]}},
        ],
        "defaultMode": 420,
    }
