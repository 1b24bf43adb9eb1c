"""AlwaysDeny: refuses whatever reaches admission, also what the server itself writes. For tests only."""

from __future__ import annotations

from apiserver_workers.admission.plugin import Plugin, forbidden
from apiserver_workers.registry.attributes import CONNECT, CREATE, DELETE, UPDATE, Attributes


class AlwaysDeny(Plugin):
    """Sees everything."""

    name = "AlwaysDeny"
    operations = frozenset((CREATE, UPDATE, DELETE, CONNECT))
    subresources = None

    def admit(self, attributes: Attributes) -> None:
        raise forbidden(attributes, "admission control is denying all modifications")

    validate = admit
