"""AlwaysAdmit: does nothing, and is there for command lines that name it."""

from __future__ import annotations

from apiserver_workers.admission.plugin import Plugin


class AlwaysAdmit(Plugin):
    """Sees nothing."""

    name = "AlwaysAdmit"
    operations = frozenset()
