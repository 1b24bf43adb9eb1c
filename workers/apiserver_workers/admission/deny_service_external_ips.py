"""DenyServiceExternalIPs: no service gets external IPs that it does not have already."""

from __future__ import annotations

from apiserver_workers.admission.plugin import Plugin, forbidden
from apiserver_workers.registry.attributes import CREATE, UPDATE, Attributes


class DenyServiceExternalIPs(Plugin):
    """Sees services."""

    name = "DenyServiceExternalIPs"
    operations = frozenset((CREATE, UPDATE))
    resources = frozenset((("", "services"),))

    def validate(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        addresses = attributes.obj["spec"].get("externalIPs") or ()
        had = attributes.old_obj["spec"].get("externalIPs") or () if attributes.old_obj else ()
        if not set(addresses) <= set(had):
            raise forbidden(attributes, "Use of external IPs is denied by admission control")
