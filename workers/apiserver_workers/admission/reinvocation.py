"""What a mutating plugin calls again in the second round of a request: webhooks, and invocations of policies.

Upstream: plugin/webhook/mutating/reinvocationcontext.go, plugin/policy/mutating/reinvocationcontext.go.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import orjson

Object = dict[str, Any]
Key = TypeVar("Key")


class Reinvocations(Generic[Key]):
    """Which of a plugin's webhooks or invocations, each named by a key, are to be called again."""

    def __init__(self) -> None:
        self.invoked: set[Key] = set()  # since the object changed last, of those that may be called again
        self.again: set[Key] = set()
        self._output: Object | None = None

    def require(self) -> None:
        """The object has changed: whoever was called before is to be called again."""
        self.again |= self.invoked
        self.invoked.clear()

    def leave(self, obj: Object | None) -> None:
        """Remember the object as the plugin leaves it; nobody asks if none may be called again."""
        self._output = orjson.loads(orjson.dumps(obj)) if self.invoked else None

    def changed(self, obj: Object | None) -> bool:
        """Whether something has changed the object since the plugin left it."""
        return bool(self.invoked) and self._output != obj
