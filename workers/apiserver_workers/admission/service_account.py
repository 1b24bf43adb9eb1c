"""ServiceAccount: every pod runs as a service account that exists, and finds that account's token mounted."""

from __future__ import annotations

import asyncio
import copy
import random

from apiserver_workers.admission.plugin import PODS, Object, Pending, Plugin, forbidden, own_spec
from apiserver_workers.admission.pod_references import is_mirror, projected_sources, uses_secrets
from apiserver_workers.apimachinery.errors import internal_error
from apiserver_workers.apimachinery.names import generate_name
from apiserver_workers.registry.attributes import CREATE, UPDATE, Attributes
from apiserver_workers.storage.interface import StorageError

DEFAULT = "default"
DEFAULT_ATTEMPTS = 10  # the default account is made by a controller, soon after its namespace
VOLUME_NAME = "kube-api-access-"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
ENFORCE_MOUNTABLE = "kubernetes.io/enforce-mountable-secrets"
TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))

# A token bound to the pod, the certificate to check the server by, and the pod's own namespace.
TOKEN_VOLUME: Object = {
    "projected": {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {
                "downwardAPI": {
                    "items": [
                        {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
                    ]
                }
            },
        ],
        "defaultMode": 0o644,
    }
}


class ServiceAccount(Plugin):
    """Sees pods; on an update only their ephemeral containers matter."""

    name = "ServiceAccount"
    operations = frozenset((CREATE, UPDATE))
    resources = frozenset((PODS,))
    subresources = frozenset(("", "ephemeralcontainers"))

    @classmethod
    def handles(cls, operation: str, group: str, resource: str, subresource: str) -> bool:
        fits = (operation == UPDATE) == (subresource == "ephemeralcontainers")
        return fits and super().handles(operation, group, resource, subresource)

    def admit(self, attributes: Attributes) -> Pending:
        pod = attributes.obj
        assert pod is not None
        if attributes.operation != CREATE:
            return None
        if is_mirror(pod):
            self.validate(attributes)
            return None
        spec = own_spec(pod)
        name = spec["serviceAccountName"] = spec["serviceAccount"] = (
            spec.get("serviceAccountName") or spec.get("serviceAccount") or DEFAULT
        )
        account = self.lister("serviceaccounts").get(name, attributes.namespace)
        if account is None:
            return self._admit_later(attributes, spec)
        _complete(spec, account)
        self.validate(attributes)  # before the object itself is validated, as after it
        return None

    async def _admit_later(self, attributes: Attributes, spec: Object) -> None:
        """The account is not there, or not there yet."""
        lister = self.lister("serviceaccounts")
        name, namespace = spec["serviceAccountName"], attributes.namespace
        pause = random.uniform(0.1, 0.2)
        for attempt in range(DEFAULT_ATTEMPTS if name == DEFAULT else 1):
            if attempt:
                await asyncio.sleep(pause)
            try:
                await lister.fresh()
            except StorageError as error:
                raise internal_error(str(error)) from error
            account = lister.get(name, namespace)
            if account is not None:
                _complete(spec, account)
                self.validate(attributes)
                return
        raise forbidden(
            attributes, f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
        )

    def validate(self, attributes: Attributes) -> None:
        pod = attributes.obj
        assert pod is not None
        spec = pod["spec"]
        if attributes.operation == CREATE and is_mirror(pod):
            _check_mirror(attributes, spec)
            return
        account = self._enforcing_account(attributes, spec)
        if account is None:
            return
        if attributes.operation == CREATE:
            why = _unlisted_secret(account, spec)
        else:
            why = _unlisted_in_containers(account, spec, "ephemeralContainers", "ephemeral container")
        if why:
            raise forbidden(attributes, why)

    def _enforcing_account(self, attributes: Attributes, spec: Object) -> Object | None:
        """The pod's account, if it lets its pods use no secrets but those it lists."""
        account = self.lister("serviceaccounts").get(spec.get("serviceAccountName", ""), attributes.namespace)
        if account is None:
            return None
        annotations = account["metadata"].get("annotations") or {}
        return account if annotations.get(ENFORCE_MOUNTABLE) in TRUE else None


def _complete(spec: Object, account: Object) -> None:
    automount = spec.get("automountServiceAccountToken")
    if automount is None:
        automount = account.get("automountServiceAccountToken", True)
    if automount:
        _mount_token(spec)
    if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
        spec["imagePullSecrets"] = [{"name": secret.get("name", "")} for secret in account["imagePullSecrets"]]


def _mount_token(spec: Object) -> None:
    """Mount the token's volume in every container that has nothing at its path."""
    volumes = spec.get("volumes") or []
    own = next((volume["name"] for volume in volumes if volume.get("name", "").startswith(VOLUME_NAME)), None)
    name = own or generate_name(VOLUME_NAME)
    needed = False
    for field in ("initContainers", "containers"):
        for container in spec.get(field) or ():
            mounts = container.get("volumeMounts") or []
            if not any(mount.get("mountPath") == MOUNT_PATH for mount in mounts):
                container["volumeMounts"] = [*mounts, {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}]
                needed = True
    if needed and own is None:
        spec["volumes"] = [*volumes, {"name": name, **copy.deepcopy(TOKEN_VOLUME)}]


def _check_mirror(attributes: Attributes, spec: Object) -> None:
    """A kubelet's own pod refers to nothing that the server would have to grant."""
    if spec.get("serviceAccountName"):
        raise forbidden(attributes, "a mirror pod may not reference service accounts")
    if uses_secrets(spec):
        raise forbidden(attributes, "a mirror pod may not reference secrets")
    if any("serviceAccountToken" in source for source in projected_sources(spec)):
        raise forbidden(attributes, "a mirror pod may not use ServiceAccountToken volume projections")


def _unlisted_secret(account: Object, spec: Object) -> str:
    """Which secret the pod uses although its account does not list it, "" if none."""
    mountable = {secret.get("name") for secret in account.get("secrets") or ()}
    name = account["metadata"]["name"]
    for volume in spec.get("volumes") or ():
        secret = (volume.get("secret") or {}).get("secretName", "")
        if "secret" in volume and secret not in mountable:
            return (
                f'volume with secret.secretName="{secret}" is not allowed because service account {name} '
                "does not reference that secret"
            )
    why = _unlisted_in_containers(account, spec, "initContainers", "init container")
    why = why or _unlisted_in_containers(account, spec, "containers", "container")
    if why:
        return why
    pullable = {secret.get("name") for secret in account.get("imagePullSecrets") or ()}
    for index, secret in enumerate(spec.get("imagePullSecrets") or ()):
        if secret.get("name") not in pullable:
            return (
                f'imagePullSecrets[{index}].name="{secret.get("name", "")}" is not allowed because service account '
                f"{name} does not reference that imagePullSecret"
            )
    return ""


def _unlisted_in_containers(account: Object, spec: Object, field: str, what: str) -> str:
    mountable = {secret.get("name") for secret in account.get("secrets") or ()}
    for container in spec.get(field) or ():
        used = [
            (f"envVar {variable['name']}", (variable.get("valueFrom") or {}).get("secretKeyRef"))
            for variable in container.get("env") or ()
        ]
        used += [("envFrom", source.get("secretRef")) for source in container.get("envFrom") or ()]
        for place, reference in used:
            if reference is not None and reference.get("name") not in mountable:
                return (
                    f'{what} {container["name"]} with {place} referencing secret.secretName="{reference.get("name", "")}"'
                    f" is not allowed because service account {account['metadata']['name']} does not reference that secret"
                )
    return ""
