"""What configures admission: stored and served whether or not its plugin is on, but never without a word.

An object whose plugin is disabled has no effect on this server, so whoever writes it is warned.
"""

from __future__ import annotations

from apiserver_workers.registry.context import Context
from apiserver_workers.registry.strategies.base import Object, Strategy
from apiserver_workers.registry.strategies.expressions import ExpressionStrategy

GROUP = "admissionregistration.k8s.io"
# The plugin that does what the objects of a resource say.
PLUGINS = {
    "mutatingadmissionpolicies": "MutatingAdmissionPolicy",
    "mutatingadmissionpolicybindings": "MutatingAdmissionPolicy",
    "mutatingwebhookconfigurations": "MutatingAdmissionWebhook",
    "validatingadmissionpolicies": "ValidatingAdmissionPolicy",
    "validatingadmissionpolicybindings": "ValidatingAdmissionPolicy",
    "validatingwebhookconfigurations": "ValidatingAdmissionWebhook",
}
OFF = "the admission plugin {} is disabled on this server: the object has no effect"


class AdmissionStrategy(ExpressionStrategy):
    """Warns of objects that nothing looks at."""

    def _warnings(self) -> list[str]:
        settings, plugin = self.registry.settings, PLUGINS[self.info.resource]
        is_off = plugin in settings.disable_admission_plugins and plugin not in settings.enable_admission_plugins
        return [OFF.format(plugin)] if is_off else []

    def warnings_on_create(self, obj: Object, context: Context) -> list[str]:
        return super().warnings_on_create(obj, context) + self._warnings()

    def warnings_on_update(self, new: Object, old: Object, context: Context) -> list[str]:
        return super().warnings_on_update(new, old, context) + self._warnings()


STRATEGIES: dict[tuple[str, str], type[Strategy]] = {(GROUP, resource): AdmissionStrategy for resource in PLUGINS}
