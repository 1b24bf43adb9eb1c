"""The policies that are in force: those that have a binding, each with its bindings, compiled once per generation.

They are read from the watch cache: whatever it holds when a write passes is in force, so there is no moment at which a
worker serves with older policies than its cache has. What is made of them is kept until the cache counts another change.

Upstream: policy/generic/policy_source.go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from apiserver_workers.admission.initializer import Initializer, Lister
from apiserver_workers.admission.policies.compiled import Compiled
from apiserver_workers.admission.policies.matching import Criteria, KindOfWrite, Narrowed, kind_of_write
from apiserver_workers.registry.attributes import Attributes
from apiserver_workers.registry.strategies.expressions import MOST_AT_ONCE, compile_thread, expressions_length
from apiserver_workers.storage.interface import Entry

Object = dict[str, Any]
Compile = Callable[[Object], Compiled]

DENY = "Deny"


class Policy:
    """A policy of one generation. `fails` says that what cannot be evaluated denies."""

    def __init__(self, obj: Object, compile_spec: Compile) -> None:
        metadata, spec = obj["metadata"], obj.get("spec") or {}
        self.name: str = metadata["name"]
        self.identity = metadata.get("uid"), metadata.get("generation")
        self.spec: Object = spec
        self.criteria = Criteria(spec.get("matchConstraints") or {})
        self.fails = spec.get("failurePolicy") != "Ignore"
        kind = spec.get("paramKind")
        self.param_kind: tuple[str, str] | None = kind and (kind.get("apiVersion", ""), kind.get("kind", ""))
        self.reinvoked = spec.get("reinvocationPolicy") == "IfNeeded"
        self._compile = compile_spec
        self._compiled: Compiled | None = None
        self._compiling: asyncio.Future[Compiled] | None = None

    async def compiled(self) -> Compiled:
        """Its expressions, compiled when they are first needed; many or long ones off the event loop."""
        if self._compiled is not None:
            return self._compiled
        if expressions_length(self.spec) <= MOST_AT_ONCE:
            self._compiled = self._compile(self.spec)
            await asyncio.sleep(0)
            return self._compiled
        if self._compiling is None:
            loop = asyncio.get_running_loop()
            self._compiling = loop.run_in_executor(compile_thread(), self._compile, self.spec)
        # A request that ends while it waits must not end the work that others wait for.
        self._compiled = await asyncio.shield(self._compiling)
        return self._compiled


class Binding:
    """A binding of one generation."""

    def __init__(self, obj: Object) -> None:
        spec = obj.get("spec") or {}
        self.name: str = obj["metadata"]["name"]
        self.policy_name: str = spec.get("policyName", "")
        self.actions: tuple[str, ...] = tuple(spec.get("validationActions") or ())
        self.param_ref: Object | None = spec.get("paramRef")
        resources = spec.get("matchResources")
        self.criteria = None if resources is None else Criteria(resources)


class Candidate(NamedTuple):
    """A policy that can match a kind of write, with the bindings that can; None are criteria that fit every write."""

    policy: Policy
    criteria: Narrowed
    bindings: tuple[tuple[Binding, Narrowed | None], ...]


class Force:
    """What is in force at one moment: policies by name, each with its bindings by name."""

    def __init__(self, hooks: Sequence[tuple[Policy, Sequence[Binding]]]) -> None:
        self.hooks = tuple(hooks)

    def candidates(self, write: KindOfWrite) -> tuple[Candidate, ...]:
        """Those that can match a kind of write."""
        found = []
        for policy, bindings in self.hooks:
            criteria = policy.criteria.narrow(write)
            if criteria is not None:
                found.append(Candidate(policy, criteria, tuple(_narrowed(bindings, write))))
        return tuple(found)


def _narrowed(bindings: Sequence[Binding], write: KindOfWrite) -> list[tuple[Binding, Narrowed | None]]:
    found: list[tuple[Binding, Narrowed | None]] = []
    for binding in bindings:
        if binding.criteria is None:
            found.append((binding, None))
        elif (criteria := binding.criteria.narrow(write)) is not None:
            found.append((binding, criteria))
    return found


class Plan(NamedTuple):
    """The candidates of a kind of write, and what they were found in."""

    force: Force
    served: object
    candidates: tuple[Candidate, ...]


class PolicySource:
    """The policies of one kind and their bindings, from the watch cache; both are named by storage prefix."""

    def __init__(self, initializer: Initializer, policies: str, bindings: str, compile_spec: Compile) -> None:
        self._initializer = initializer
        self._prefixes = policies, bindings
        self._compile = compile_spec
        self._listers: tuple[Lister, Lister] | None = None
        self._changes = (-1, -1)
        self._policies: dict[str, tuple[Entry, Policy]] = {}
        self._bindings: dict[str, tuple[Entry, Binding]] = {}
        self._force = Force(())

    def candidates(self, attributes: Attributes) -> tuple[Candidate, ...]:
        """The policies in force that can match a write. Without any, this is all that a write costs."""
        force = self.force()
        if not force.hooks:
            return ()
        equivalents = self._initializer.equivalents
        served = equivalents.served()
        key = (self, attributes.operation, attributes.subresource)
        kept: Plan | None = attributes.requested.compiled.get(key)
        if kept is None or kept.force is not force or kept.served is not served:
            found = force.candidates(kind_of_write(attributes, equivalents))
            kept = attributes.requested.compiled[key] = Plan(force, served, found)
        return kept.candidates

    def force(self) -> Force:
        """What is in force now; the same object while nothing changes."""
        policies, bindings = self._listers or self._open()
        changes = policies.cache.changes, bindings.cache.changes
        if changes != self._changes:
            self._refresh(policies, bindings)
            self._changes = changes
        return self._force

    def _open(self) -> tuple[Lister, Lister]:
        policies, bindings = map(self._initializer.lister, self._prefixes)
        self._listers = policies, bindings
        return self._listers

    def _refresh(self, policies: Lister, bindings: Lister) -> None:
        known_policies, known_bindings = self._policies, self._bindings
        self._policies = {entry.key: self._policy(entry, known_policies) for entry in policies.list()}
        self._bindings = {entry.key: _binding(entry, known_bindings) for entry in bindings.list()}
        bound: dict[str, list[Binding]] = {}
        for _, binding in self._bindings.values():
            bound.setdefault(binding.policy_name, []).append(binding)
        self._force = Force(
            [(policy, bound[policy.name]) for _, policy in self._policies.values() if policy.name in bound]
        )

    def _policy(self, entry: Entry, known: dict[str, tuple[Entry, Policy]]) -> tuple[Entry, Policy]:
        """The policy as it was compiled, unless its generation is another one."""
        before = known.get(entry.key)
        if before is not None and before[0] is entry:
            return before
        policy = Policy(entry.obj, self._compile)
        if before is not None and before[1].identity == policy.identity:
            policy = before[1]
        return entry, policy


def _binding(entry: Entry, known: dict[str, tuple[Entry, Binding]]) -> tuple[Entry, Binding]:
    before = known.get(entry.key)
    return before if before is not None and before[0] is entry else (entry, Binding(entry.obj))
