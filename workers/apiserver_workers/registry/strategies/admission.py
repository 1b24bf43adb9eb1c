"""What configures admission: webhook configurations, policies and their bindings.

They are stored and served whether or not their plugin is on, but never without a word: an object whose plugin is disabled
has no effect on this server, so whoever writes it is warned.

Whoever has a policy read objects must be able to read them: a policy's messages tell what its parameters say. So the
kinds of parameters, and the parameters of bindings, are authorized when they are written.

Upstream: pkg/registry/admissionregistration/*/strategy.go, authz.go.
"""

from __future__ import annotations

from typing import NamedTuple

from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.errors import ApiError, FieldError
from apiserver_workers.apimachinery.goformat import plain
from apiserver_workers.apimachinery.served_kind import Faults, FaultsToCome
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.apimachinery.validation.field import forbidden, invalid
from apiserver_workers.registry.attributes import Question
from apiserver_workers.registry.context import Context
from apiserver_workers.registry.strategies.base import Object, Strategy
from apiserver_workers.registry.strategies.expressions import ExpressionStrategy

GROUP = "admissionregistration.k8s.io"
MUTATING, VALIDATING = "mutatingadmissionpolicies", "validatingadmissionpolicies"
MUTATING_BINDINGS, VALIDATING_BINDINGS = "mutatingadmissionpolicybindings", "validatingadmissionpolicybindings"
# The plugin that does what the objects of a resource say.
PLUGINS = {
    MUTATING: "MutatingAdmissionPolicy",
    MUTATING_BINDINGS: "MutatingAdmissionPolicy",
    "mutatingwebhookconfigurations": "MutatingAdmissionWebhook",
    VALIDATING: "ValidatingAdmissionPolicy",
    VALIDATING_BINDINGS: "ValidatingAdmissionPolicy",
    "validatingwebhookconfigurations": "ValidatingAdmissionWebhook",
}
OFF = "the admission plugin {} is disabled on this server: the object has no effect"
MANIFESTS_GATE = "ManifestBasedAdmissionControlConfig"
STATIC_SUFFIX = ".static.k8s.io"
RESERVED = (
    f'names ending with "{STATIC_SUFFIX}" are reserved for static manifest-based configurations and cannot be managed '
    "via the API"
)
MASTERS = "system:masters"


class AdmissionStrategy(ExpressionStrategy):
    """Warns of objects that nothing looks at; keeps names free that are those of files."""

    def validate_create(self, obj: Object, context: Context) -> FaultsToCome:
        faults = super().validate_create(obj, context)
        if feature_gates.enabled(MANIFESTS_GATE) or self._asks(obj, None, context):
            return self._checked(faults, obj, None, context)
        return faults

    def validate_update(self, new: Object, old: Object, context: Context) -> FaultsToCome:
        faults = super().validate_update(new, old, context)
        if not context.subresource and self._asks(new, old, context):
            return self._checked(faults, new, old, context)
        return faults

    def warnings_on_create(self, obj: Object, context: Context) -> list[str]:
        return super().warnings_on_create(obj, context) + self._warnings()

    def warnings_on_update(self, new: Object, old: Object, context: Context) -> list[str]:
        return super().warnings_on_update(new, old, context) + self._warnings()

    def _warnings(self) -> list[str]:
        settings, plugin = self.registry.settings, PLUGINS[self.info.resource]
        is_off = plugin in settings.disable_admission_plugins and plugin not in settings.enable_admission_plugins
        return [OFF.format(plugin)] if is_off else []

    def _asks(self, new: Object, old: Object | None, context: Context) -> bool:
        """Whether somebody has to say that the user may write this."""
        return False

    async def _refusal(self, new: Object, context: Context) -> FieldError | None:
        """Why the user may not."""
        return None

    async def _checked(self, faults: FaultsToCome, new: Object, old: Object | None, context: Context) -> Faults:
        """The faults, and those that are looked for after them."""
        found = list(faults if isinstance(faults, list) else await faults)
        name = new["metadata"].get("name", "")
        if old is None and name.endswith(STATIC_SUFFIX) and feature_gates.enabled(MANIFESTS_GATE):
            found.append(invalid("metadata.name", name, RESERVED))
        if not found and self._asks(new, old, context):
            refusal = await self._refusal(new, context)
            found += [] if refusal is None else [refusal]
        return found

    async def _permitted(self, context: Context, verb: str, target: Target, namespace: str, name: str) -> bool:
        assert self.registry.permits is not None
        question = Question(
            context.user, verb, target.group, target.version, target.resource, namespace=namespace, name=name
        )
        return not await self.registry.permits(question)

    def _must_be_asked(self, context: Context) -> bool:
        """Masters may do everything."""
        return self.registry.permits is not None and MASTERS not in context.user.groups

    async def _target(self, param_kind: Object | None) -> Target:
        """What the parameters of a kind are to an authorizer; "*" stands for what cannot be found out."""
        if param_kind is None:
            return ANYTHING
        api_version, kind = param_kind.get("apiVersion", ""), param_kind.get("kind", "")
        group, _, version = api_version.rpartition("/")
        plural = None
        if self.registry.plural_of is not None:
            try:
                plural = await self.registry.plural_of(api_version, kind)
            except ApiError:
                plural = None
        return Target(group, version, plural or "*")


class Target(NamedTuple):
    """The objects of a resource."""

    group: str
    version: str
    resource: str


ANYTHING = Target("*", "*", "*")


class PolicyStrategy(AdmissionStrategy):
    """Whoever writes a policy with parameters must be able to get every object of their kind."""

    def _asks(self, new: Object, old: Object | None, context: Context) -> bool:
        kind = new["spec"].get("paramKind")
        if kind is None or not self._must_be_asked(context):
            return False
        return old is None or old["spec"].get("paramKind") != kind

    async def _refusal(self, new: Object, context: Context) -> FieldError | None:
        param_kind = new["spec"]["paramKind"]
        target = await self._target(param_kind)
        if await self._permitted(context, "get", target, "*", "*"):
            return None
        what = f"(kind={param_kind.get('kind', '')}, apiVersion={param_kind.get('apiVersion', '')})"
        why = f'must have "get" permission on all objects of the referenced paramKind {what}'
        return forbidden("spec.paramKind", f"user {shown_user(context.user)} {why}")


class BindingStrategy(AdmissionStrategy):
    """Whoever writes a binding with parameters must be able to read these."""

    def _asks(self, new: Object, old: Object | None, context: Context) -> bool:
        return new["spec"].get("paramRef") is not None and self._must_be_asked(context)

    async def _refusal(self, new: Object, context: Context) -> FieldError | None:
        spec = new["spec"]
        policies = MUTATING if self.info.resource == MUTATING_BINDINGS else VALIDATING
        store = self.registry.store(GROUP, policies)
        entry = store.cache.get(store.key("", spec.get("policyName", "")))
        param_kind = None if entry is None else entry.obj["spec"].get("paramKind")
        target = await self._target(param_kind)
        ref = spec["paramRef"]
        verb = "get" if ref.get("name") else "list"
        if await self._permitted(context, verb, target, ref.get("namespace", ""), ref.get("name", "")):
            return None
        user = shown_user(context.user)
        everything = (
            f'to determine minimum required permissions and user {user} does not have "{verb}" permission for all groups, '
            "versions and resources"
        )
        if entry is None:
            why = f"unable to get policy {spec.get('policyName', '')} {everything}"
        elif param_kind is not None and target.resource == "*":
            shown = f"&ParamKind{{APIVersion:{param_kind.get('apiVersion', '')},Kind:{param_kind.get('kind', '')},}}"
            why = f"unable to resolve paramKind {shown} {everything}"
        else:
            # upstream has the two the other way round for mutating policies
            first, second = (verb, user) if policies == MUTATING else (user, verb)
            why = f'user {first} does not have "{second}" permission on the object referenced by paramRef'
        return forbidden("spec.paramRef", why)


def shown_user(user: UserInfo) -> str:
    """A user as Go prints one."""
    extra = {name: list(values) for name, values in user.extra.items()}
    return f"&{{{user.name} {user.uid} {plain(list(user.groups))} {plain(extra)}}}"


STRATEGIES: dict[tuple[str, str], type[Strategy]] = {
    **{(GROUP, resource): AdmissionStrategy for resource in PLUGINS},
    (GROUP, MUTATING): PolicyStrategy,
    (GROUP, VALIDATING): PolicyStrategy,
    (GROUP, MUTATING_BINDINGS): BindingStrategy,
    (GROUP, VALIDATING_BINDINGS): BindingStrategy,
}
