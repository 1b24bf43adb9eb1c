"""MutatingAdmissionPolicy: objects are changed by patches that expressions make, one policy after the other.

A policy with `reinvocationPolicy: IfNeeded` runs a second time if something has changed the object after it.

Upstream: apiserver/pkg/admission/plugin/policy/mutating/dispatcher.go, plugin.go, reinvocationcontext.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any

from apiserver_workers.admission.plugin import Pending, forbidden
from apiserver_workers.admission.policies import metrics
from apiserver_workers.admission.policies.compiled import INVALID, Compiled, Mutation, compile_mutating
from apiserver_workers.admission.policies.conditions import conditions_hold
from apiserver_workers.admission.policies.decisions import (
    BUDGET_ERROR,
    COMPILE_ERROR,
    INVALID_ERROR,
    NO_ERROR,
)
from apiserver_workers.admission.policies.dispatch import Fault, Invocation, invocations
from apiserver_workers.admission.policies.evaluation import BUDGET, OUT_OF_BUDGET, Activation, OutOfBudget
from apiserver_workers.admission.policies.patches import PatchFailed, apply_configuration, patched
from apiserver_workers.admission.policies.plugin import PolicyPlugin
from apiserver_workers.admission.policies.source import Candidate
from apiserver_workers.admission.policies.static import Kinds
from apiserver_workers.admission.policies.write import Write, shown_namespace
from apiserver_workers.admission.reinvocation import Reinvocations
from apiserver_workers.admission.versions import put
from apiserver_workers.admission.webhook.mutating import check_kind
from apiserver_workers.apimachinery.cel.text import quote
from apiserver_workers.apimachinery.codec import DecodeError
from apiserver_workers.apimachinery.errors import ApiError, internal_error
from apiserver_workers.registry.attributes import CONNECT, CREATE, UPDATE, Attributes

Object = dict[str, Any]
# What tells one invocation of a policy from another: the policy, the binding, the parameter's namespace and name.
Key = tuple[str, str, str, str]

POLICIES, BINDINGS = "mutatingadmissionpolicies", "mutatingadmissionpolicybindings"
JSON_PATCH = "JSONPatch"


class Problem(Exception):
    """A mutation that failed: what the failure policy is about."""


class MutatingAdmissionPolicy(PolicyPlugin):
    """Sees every creation and update, and CONNECT, of what is not exempt."""

    name = "MutatingAdmissionPolicy"
    gate = "MutatingAdmissionPolicy"
    operations = frozenset((CREATE, UPDATE, CONNECT))
    follows = ("namespaces", POLICIES, BINDINGS)
    kinds = Kinds(POLICIES, BINDINGS, compile_mutating)

    def admit(self, attributes: Attributes) -> Pending:
        candidates = self.candidates(attributes)
        return self._admit(attributes, candidates) if candidates else None

    async def _admit(self, attributes: Attributes, candidates: Sequence[Candidate]) -> None:
        write = Write(attributes, self.initializer)
        rounds = attributes.rounds
        reinvocations: Reinvocations[Key] = rounds.values.setdefault(self.name, Reinvocations())
        if rounds.again and reinvocations.changed(attributes.obj):
            reinvocations.require()
        errors: list[str] = []
        found: list[Invocation] = []
        async for one in invocations(write, candidates, self.params):
            if isinstance(one, Invocation):
                found.append(one)
            elif one.policy.fails:
                errors.append(_denied(one))
        misconfigured = bool(errors)
        try:
            for invocation in found:
                for param in invocation.params:
                    await _Run(write, invocation, param, reinvocations, errors).run()
        finally:
            reinvocations.leave(attributes.obj)
        if errors:
            raise _refusal(attributes, errors, configuration=misconfigured)


class _Run:
    """One policy with one binding and one parameter."""

    def __init__(
        self,
        write: Write,
        invocation: Invocation,
        param: Object | None,
        reinvocations: Reinvocations[Key],
        errors: list[str],
    ) -> None:
        self._write = write
        self._invocation = invocation
        self._param = param
        self._reinvocations = reinvocations
        self._errors = errors
        metadata = (param or {}).get("metadata") or {}
        place = metadata.get("namespace", ""), metadata.get("name", "")
        self._key: Key = (invocation.policy.name, invocation.binding.name, *place)

    async def run(self) -> None:
        """Mutate the object. Raises ApiError for what no failure policy is about."""
        policy, write = self._invocation.policy, self._write
        compiled = await policy.compiled()
        if compiled.conditions and not await self._conditions(compiled):
            return
        rounds = write.attributes.rounds
        if rounds.again and self._key not in self._reinvocations.again:
            return
        changed = False
        if write.attributes.obj is not None:
            for mutation in compiled.mutations:
                changed |= await self._attempt(compiled, mutation)
        if changed:
            self._reinvocations.require()
            rounds.wanted = True
        if policy.reinvoked:
            self._reinvocations.invoked.add(self._key)

    async def _conditions(self, compiled: Compiled) -> bool:
        write, invocation = self._write, self._invocation
        values = await self._values(None)
        holds = await conditions_hold(write, invocation.policy, compiled, invocation.match, values)
        if isinstance(holds, str):
            self._fail(holds)
            return False
        return holds

    async def _values(self, namespace: Object | None) -> Object:
        """The variables as the object is now. Raises ApiError."""
        match = self._invocation.match
        seen = await self._write.versioned(match.served)
        return self._write.values(match, seen, self._param, namespace)

    async def _attempt(self, compiled: Compiled, mutation: Mutation) -> bool:
        """Carry out one mutation; whether it changed the object. A failure is noted, and the next one tried."""
        began = perf_counter()
        failure = ""
        changed = False
        try:
            changed = await self._mutate(compiled, mutation)
        except ApiError:
            self._observe(INVALID_ERROR, began)
            raise
        except Problem as problem:
            failure = str(problem)
            self._fail(failure)
        self._observe(_error_type(mutation, failure), began)
        return changed

    async def _mutate(self, compiled: Compiled, mutation: Mutation) -> bool:
        """Raises Problem, ApiError."""
        write, served = self._write, self._invocation.match.served
        values = await self._values(shown_namespace(await write.namespace_object()))
        before: Object = values["object"]
        value = await self._evaluate(compiled, mutation, values)
        body = served.bodies.get(write.attributes.subresource, served)
        json_patch = mutation.patch_type == JSON_PATCH
        try:
            document = patched(before, value) if json_patch else apply_configuration(body.type, before, value)
        except PatchFailed as failure:
            raise Problem(str(failure)) from None
        if document is None or document is before:
            return False
        try:
            if json_patch:
                check_kind(document, self._invocation.match)
            # Fields that a custom resource does not have are pruned.
            changed = await put(write.attributes, served, before, document, strict=json_patch and not served.full_items)
        except DecodeError as error:
            if json_patch:
                raise internal_error(str(error)) from None
            raise Problem(str(error)) from None
        write.forget_objects()
        return changed

    async def _evaluate(self, compiled: Compiled, mutation: Mutation, values: Object) -> Any:
        """The value of the mutation's expression. Raises Problem."""
        write, expression = self._write, mutation.expression
        if expression.program is None:
            raise Problem(expression.fault)
        values.update(write.authorizer)
        activation = Activation(values, compiled.variables, BUDGET, write.pace, write.checks)
        try:
            result = await activation.run(expression)
        except OutOfBudget as error:
            raise Problem(str(error)) from None
        if result.error:
            raise Problem(result.error)
        return result.value

    def _fail(self, why: str) -> None:
        policy, binding = self._invocation.policy, self._invocation.binding
        if policy.fails:
            self._errors.append(_denied(Fault(policy, binding, why)))

    def _observe(self, error_type: str, began: float) -> None:
        policy, binding = self._invocation.policy.name, self._invocation.binding.name
        metrics.observe_mutation(policy, binding, error_type, perf_counter() - began)


def _error_type(mutation: Mutation, failure: str) -> str:
    """How metrics name what happened."""
    if not failure:
        return NO_ERROR
    if mutation.expression.program is None:
        return COMPILE_ERROR
    return BUDGET_ERROR if failure == OUT_OF_BUDGET else INVALID_ERROR


def _denied(fault: Fault) -> str:
    if fault.binding is None:
        return f"policy {quote(fault.policy.name)} denied request: {fault.message}"
    return f"policy '{fault.policy.name}' with binding '{fault.binding.name}' denied request: {fault.message}"


def _refusal(attributes: Attributes, errors: list[str], *, configuration: bool) -> ApiError:
    """The 403 that tells the first error. Errors of configuration leave its reason as it is."""
    error = forbidden(attributes, errors[0])
    error.message = errors[0]
    if not configuration:
        error.reason = INVALID
    error.details = {**(error.details or {}), "causes": [{"message": message} for message in errors]}
    return error
