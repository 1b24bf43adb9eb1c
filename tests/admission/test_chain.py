"""Which plugins are on, in which order, and which writes they see."""

from __future__ import annotations

import pytest
from apiserver_supervisor.options.admission import KNOWN_PLUGINS
from apiserver_workers.admission.chain import PLUGINS, enabled_plugins
from apiserver_workers.registry.attributes import CREATE, DELETE, UPDATE

# These see every write that somebody has configured them for.
CONFIGURED = (
    "MutatingAdmissionPolicy",
    "MutatingAdmissionWebhook",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionWebhook",
)


def names(**flags):
    return [plugin.name for plugin in enabled_plugins(**flags)]


def seen(operation, group, resource, subresource=""):
    handling = [plugin.name for plugin, _ in PLUGINS if plugin.handles(operation, group, resource, subresource)]
    return [name for name in handling if name not in CONFIGURED]


def test_node_restriction_is_off_until_it_is_enabled_and_keeps_its_place():
    assert "NodeRestriction" not in names()
    enabled = names(enable=["NodeRestriction"])
    assert enabled.index("ServiceAccount") + 1 == enabled.index("NodeRestriction")


def test_a_plugin_of_the_default_set_can_be_disabled():
    assert "LimitRanger" not in names(disable=["LimitRanger"])
    assert len(names(disable=["LimitRanger"])) == len(names()) - 1


def test_enabling_wins_over_disabling():
    assert "LimitRanger" in names(enable=["LimitRanger"], disable=["LimitRanger"])


@pytest.mark.parametrize("flag", ["enable", "disable"])
def test_an_unknown_plugin_is_an_error(flag):
    with pytest.raises(ValueError, match="unknown admission plugins: Nope"):
        names(**{flag: ["Nope"]})


def test_the_flags_know_every_plugin_in_the_chains_order():
    ours = [plugin.name for plugin, _ in PLUGINS]
    assert ours == [name for name in KNOWN_PLUGINS if name in ours]


def test_a_config_map_concerns_only_its_namespace_and_quotas():
    assert seen(CREATE, "", "configmaps") == ["NamespaceLifecycle", "ResourceQuota"]
    assert seen(UPDATE, "", "configmaps") == ["NamespaceLifecycle"]


def test_custom_resources_are_seen_like_any_other():
    assert seen(CREATE, "example.com", "widgets") == ["NamespaceLifecycle", "ResourceQuota"]


def test_deleting_concerns_few_plugins():
    assert seen(DELETE, "", "configmaps") == ["NamespaceLifecycle"]
    assert seen(DELETE, "", "pods") == ["NamespaceLifecycle", "NodeRestriction"]


def test_a_pods_status_passes_what_would_change_a_new_pod():
    assert seen(UPDATE, "", "pods", "status") == ["NamespaceLifecycle", "NodeRestriction"]
    assert seen(CREATE, "", "pods", "binding") == ["NamespaceLifecycle", "NodeRestriction", "PodTopologyLabels"]
