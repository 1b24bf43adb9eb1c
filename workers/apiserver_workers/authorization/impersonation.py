"""May a user act as another one (k8s.io/apiserver/pkg/endpoints/filters/impersonation).

Each mode is a way to be allowed. The constrained ones ask twice: may the user do this verb while impersonating
(`impersonate-on:MODE:VERB`), and may it impersonate this name, uid, group and extra (`impersonate:MODE`). The last one is
the old `impersonate` verb. The first mode that allows decides; if none does, the first refusal is the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.apimachinery.validation.names import is_dns1123_subdomain
from apiserver_workers.authentication.interface import ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, with_group
from apiserver_workers.authentication.service_account import group_names, split_user_name
from apiserver_workers.authorization.attributes import (
    MASTERS,
    Attributes,
    Authorizer,
    allowed,
    forbidden_error,
    quote,
)

AUTHENTICATION_API = ("authentication.k8s.io", "v1")
CORE_API = ("", "v1")
NODE_PREFIX = "system:node:"
NODE_NAME_EXTRA = "authentication.kubernetes.io/node-name"
ASSOCIATED_KEYS_EXTRA = "authentication.kubernetes.io/associated-node-keys"
HTTP_PATH = re.compile(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+")
MANY = 4  # from so many values on, one question about all of them is asked first


def node_name(user: str) -> str:
    """The node that the user name is one of, "" if it is none."""
    name = user.removeprefix(NODE_PREFIX) if user.startswith(NODE_PREFIX) else ""
    return name if name and not is_dns1123_subdomain(name) else ""


def _only_name(wanted: UserInfo) -> bool:
    return not (wanted.uid or wanted.groups or wanted.extra)


def _associated_node(wanted: UserInfo, requestor: UserInfo) -> bool:
    return (
        _only_name(wanted)
        and split_user_name(requestor.name) is not None
        and requestor.extra.get(NODE_NAME_EXTRA) == [node_name(wanted.name)]
    )


def _arbitrary_node(wanted: UserInfo, requestor: UserInfo) -> bool:
    return _only_name(wanted) and bool(node_name(wanted.name))


def _service_account(wanted: UserInfo, requestor: UserInfo) -> bool:
    return _only_name(wanted) and split_user_name(wanted.name) is not None


def _user_info(wanted: UserInfo, requestor: UserInfo) -> bool:
    return not node_name(wanted.name) and split_user_name(wanted.name) is None


@dataclass(slots=True, frozen=True)
class Mode:
    """A constrained mode: its name in verbs, and whether it is for this pair of users."""

    name: str
    applies: Callable[[UserInfo, UserInfo], bool]


MODES = (
    Mode("associated-node", _associated_node),
    Mode("arbitrary-node", _arbitrary_node),
    Mode("serviceaccount", _service_account),
    Mode("user-info", _user_info),
)


async def impersonate(authorizer: Authorizer, wanted: UserInfo, attributes: Attributes) -> UserInfo:
    """The user to go on as. Raises ApiError (403) with the first mode's refusal if no mode allows it."""
    refusal: ApiError | None = None
    requestor = attributes.user
    for mode in MODES if feature_gates.enabled("ConstrainedImpersonation") else ():
        if mode.applies(wanted, requestor):
            try:
                return await _constrained(authorizer, mode, wanted, attributes)
            except ApiError as error:
                refusal = refusal or error
    try:
        return await Checks(authorizer, requestor, "impersonate", constrained=False).impersonated(wanted)
    except ApiError as error:
        raise (refusal or error) from None


async def _constrained(authorizer: Authorizer, mode: Mode, wanted: UserInfo, attributes: Attributes) -> UserInfo:
    if mode.name == "associated-node":
        # which node it is does not matter: the service account's token proved that it runs there
        keys = {ASSOCIATED_KEYS_EXTRA: sorted(attributes.user.extra)}
        user = attributes.user
        attributes = replace(attributes, user=UserInfo(user.name, user.uid, user.groups, keys))
    await check(authorizer, replace(attributes, verb=f"impersonate-on:{mode.name}:{attributes.verb}"))
    checks = Checks(authorizer, attributes.user, f"impersonate:{mode.name}", constrained=True)
    return await checks.impersonated(wanted)


async def check(authorizer: Authorizer, attributes: Attributes) -> None:
    """Raises ApiError (403) unless the authorizer allows it."""
    allows, reason = await allowed(authorizer, attributes)
    if not allows:
        raise forbidden_error(attributes, reason)


@dataclass(slots=True)
class Checks:
    """One mode's questions about each part of the wanted user."""

    authorizer: Authorizer
    requestor: UserInfo
    verb: str
    constrained: bool

    async def impersonated(self, wanted: UserInfo) -> UserInfo:
        groups = await self._check_name(wanted)
        if wanted.uid:
            await check(self.authorizer, self._attributes(AUTHENTICATION_API, "uids", wanted.uid))
        if wanted.groups:
            await self._check_groups(wanted.groups)
        if wanted.extra:
            await self._check_extra(wanted.extra)
        user = UserInfo(wanted.name, wanted.uid, groups, wanted.extra)
        if user.name == ANONYMOUS:
            return with_group(user, UNAUTHENTICATED)
        return user if UNAUTHENTICATED in groups else with_group(user, AUTHENTICATED)

    def _attributes(self, api: tuple[str, str], resource: str, name: str, subresource: str = "") -> Attributes:
        return Attributes(
            self.requestor,
            self.verb,
            api_group=api[0],
            api_version=api[1],
            resource=resource,
            subresource=subresource,
            name=name,
        )

    def _named(self, resource: str, name: str) -> Attributes:
        return self._attributes(AUTHENTICATION_API if self.constrained else CORE_API, resource, name)

    async def _check_name(self, wanted: UserInfo) -> tuple[str, ...]:
        """The groups that the user gets: its fixed ones where none are asked for."""
        attributes, groups = self._named("users", wanted.name), wanted.groups
        node, account = node_name(wanted.name), split_user_name(wanted.name)
        if self.constrained and node:
            any_node = self.verb == "impersonate:associated-node"
            attributes, groups = self._named("nodes", "*" if any_node else node), ("system:nodes",)
        elif account:
            attributes = self._named("serviceaccounts", account[1])
            attributes.namespace = account[0]
            groups = groups or group_names(account[0])
        await check(self.authorizer, attributes)
        return groups

    async def _check_groups(self, groups: tuple[str, ...]) -> None:
        if self.constrained:
            if "" in groups:
                reason = "impersonating the empty string group is not allowed"
                raise forbidden_error(self._named("groups", ""), reason)
            if MASTERS in groups:
                raise forbidden_error(
                    self._named("groups", MASTERS), "impersonating the system:masters group is not allowed"
                )
            if len(groups) >= MANY and await self._allowed(self._named("groups", "*")):
                return
        for group in groups:
            await check(self.authorizer, self._named("groups", group))

    async def _check_extra(self, extra: dict[str, list[str]]) -> None:
        if self.constrained:
            reason = invalid_extra(extra)
            if reason:
                raise forbidden_error(self._attributes(AUTHENTICATION_API, "userextras", ""), reason)
            large = len(extra) >= MANY or sum(map(len, extra.values())) >= MANY
            if large and await self._allowed(self._attributes(AUTHENTICATION_API, "userextras", "*", "*")):
                return
        for key, values in extra.items():
            for value in values:
                await check(self.authorizer, self._attributes(AUTHENTICATION_API, "userextras", value, key))

    async def _allowed(self, attributes: Attributes) -> bool:
        return (await allowed(self.authorizer, attributes))[0]


def invalid_extra(extra: dict[str, list[str]]) -> str:
    """Why constrained impersonation refuses these extras, "" if it does not."""
    for key, values in extra.items():
        if not key:
            return "impersonating the empty string key in extra is not allowed"
        fault = not_domain_prefixed(key)
        if fault:
            return f"impersonating an invalid key in extra is not allowed: extra.key: Invalid value: {fault}"
        if not values:
            return "impersonating empty values in extra is not allowed"
        if "" in values:
            return "impersonating the empty string value in extra is not allowed"
    return ""


def not_domain_prefixed(key: str) -> str:
    """Why the key is no domain-prefixed path, "" if it is one."""
    domain, _, path = key.partition("/")
    if not domain or not path:
        return f'{quote(key)}: must be a domain-prefixed path (such as "acme.io/foo")'
    faults = is_dns1123_subdomain(domain)
    if faults:
        return f"{quote(domain)}: {faults[0]}"
    return (
        ""
        if HTTP_PATH.fullmatch(path)
        else f"{quote(path)}: Invalid path (regex used for validation is '{HTTP_PATH.pattern}')"
    )
