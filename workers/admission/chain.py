"""The admission chain: plugins in order, mutating ones first, then validating ones.

A plugin is a class with `operations` (which it handles) and `admit`, `validate` or both, listed in `PLUGINS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workers.registry.attributes import Attributes

# In upstream's order. Each is made by the chain.
PLUGINS: tuple[type[Any], ...] = ()


class AdmissionChain:
    """All plugins that are on (registry.attributes.Admission)."""

    def __init__(self, plugins: Sequence[type[Any]] = PLUGINS) -> None:
        made = [plugin() for plugin in plugins]
        self._mutating = [plugin for plugin in made if hasattr(plugin, "admit")]
        self._validating = [plugin for plugin in made if hasattr(plugin, "validate")]

    async def admit(self, attributes: Attributes) -> None:
        """Mutating admission. Raises ApiError."""
        for plugin in self._mutating:
            if attributes.operation in plugin.operations:
                await plugin.admit(attributes)

    async def validate(self, attributes: Attributes) -> None:
        """Validating admission. Raises ApiError."""
        for plugin in self._validating:
            if attributes.operation in plugin.operations:
                await plugin.validate(attributes)
