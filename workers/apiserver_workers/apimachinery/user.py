"""Who asks: the identity that authentication finds and everything behind it trusts."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True, frozen=True)
class UserInfo:
    """k8s.io/apiserver/pkg/authentication/user.Info."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, list[str]] = field(default_factory=dict)
