"""ValidatingAdmissionPolicy: writes are refused, warned of or audited by expressions.

Upstream: apiserver/pkg/admission/plugin/policy/validating/dispatcher.go, plugin.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any, NamedTuple

import orjson

from apiserver_workers.admission.initializer import Initializer
from apiserver_workers.admission.plugin import Pending, forbidden
from apiserver_workers.admission.policies import metrics
from apiserver_workers.admission.policies.compiled import INVALID, Compiled, compile_validating
from apiserver_workers.admission.policies.conditions import conditions_hold
from apiserver_workers.admission.policies.decisions import (
    AuditValue,
    Decision,
    audit_value,
    decide,
    failed,
    status_code,
)
from apiserver_workers.admission.policies.dispatch import Fault, Invocation, invocations
from apiserver_workers.admission.policies.evaluation import BUDGET, Activation, OutOfBudget
from apiserver_workers.admission.policies.plugin import PolicyPlugin
from apiserver_workers.admission.policies.source import DENY, Candidate, PolicySource
from apiserver_workers.admission.policies.write import Write, shown_namespace
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.registry.attributes import CONNECT, CREATE, DELETE, UPDATE, Attributes

Object = dict[str, Any]

AUDIT, WARN = "Audit", "Warn"
FAILURE_ANNOTATION = "validation.policy.admission.k8s.io/validation_failure"
LONGEST_ANNOTATION = 10 * 1024
POLICIES, BINDINGS = "validatingadmissionpolicies", "validatingadmissionpolicybindings"
# What Go's encoding/json writes in the place of these.
GO_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_ESCAPES = str.maketrans(GO_ESCAPES)


class Denial(NamedTuple):
    """Why a write is refused; only the first one is told."""

    message: str
    reason: str


class ValidatingAdmissionPolicy(PolicyPlugin):
    """Sees every write of what is not exempt."""

    name = "ValidatingAdmissionPolicy"
    operations = frozenset((CREATE, UPDATE, DELETE, CONNECT))
    follows = ("namespaces", POLICIES, BINDINGS)

    def __init__(self, initializer: Initializer) -> None:
        super().__init__(initializer, PolicySource(initializer, POLICIES, BINDINGS, compile_validating))

    def validate(self, attributes: Attributes) -> Pending:
        candidates = self.source.candidates(attributes)
        return self._validate(attributes, candidates) if candidates else None

    async def _validate(self, attributes: Attributes, candidates: Sequence[Candidate]) -> None:
        write = Write(attributes, self.initializer)
        verdict = Verdict(attributes)
        async for found in invocations(write, candidates, self.params):
            if isinstance(found, Fault):
                verdict.fault(found)
            elif found.params:
                await self._invoke(write, found, verdict)
        verdict.publish()
        if verdict.denials:
            raise refusal(attributes, verdict.denials[0])

    async def _invoke(self, write: Write, invocation: Invocation, verdict: Verdict) -> None:
        policy, binding, match, params = invocation
        try:
            seen = await write.versioned(match.served)
        except ApiError as error:
            why = f"failed to configure binding: failed to convert object version: {error.message}"
            verdict.fault(Fault(policy, binding, why))
            return
        namespace = shown_namespace(await write.namespace_object())
        compiled = await policy.compiled()
        for param in params:
            evaluation = Evaluation(write, invocation, compiled, write.values(match, seen, param, namespace))
            decisions, values = await evaluation.run()
            verdict.decided(invocation, decisions)
            verdict.annotated(invocation, values)


Decisions = list[tuple[int, Decision]]  # with the index of the validation


class Evaluation:
    """One policy evaluated with one binding and one parameter."""

    def __init__(self, write: Write, invocation: Invocation, compiled: Compiled, values: Object) -> None:
        self._write = write
        self._policy = invocation.policy
        self._match = invocation.match
        self._compiled = compiled
        self._values = values

    async def run(self) -> tuple[Decisions, list[AuditValue]]:
        """What does not hold, and the audit annotations."""
        policy, compiled = self._policy, self._compiled
        if compiled.conditions:
            holds = await conditions_hold(self._write, policy, compiled, self._match, self._values)
            if isinstance(holds, str):
                return [(0, failed(holds, policy.fails))], []
            if not holds:
                return [], []
        try:
            decisions = await self._validations()
            return decisions, await self._annotations()
        except OutOfBudget as error:
            return [(0, failed(str(error), policy.fails))], []

    async def _validations(self) -> Decisions:
        write, compiled, fails = self._write, self._compiled, self._policy.fails
        if not compiled.validations:
            return []
        values = {**self._values, **write.authorizer}
        activation = Activation(values, compiled.variables, BUDGET, write.pace, write.checks)
        results = []
        for validation in compiled.validations:
            began = perf_counter()
            result = await activation.run(validation.expression)
            results.append((result, perf_counter() - began))
        broken = ""
        messages = Activation(self._values, compiled.variables, activation.budget, write.pace)
        told = []
        try:
            told = await messages.run_all([validation.message_expression for validation in compiled.validations])
        except OutOfBudget as error:
            broken = str(error)
        decisions: Decisions = []
        for index, (validation, (result, seconds)) in enumerate(zip(compiled.validations, results, strict=True)):
            message = told[index] if told else None
            decision = decide(validation, result, message, broken, fails)
            if decision is not None:
                decisions.append((index, decision._replace(seconds=seconds)))
        return decisions

    async def _annotations(self) -> list[AuditValue]:
        compiled, fails = self._compiled, self._policy.fails
        if not compiled.annotations:
            return []
        activation = Activation(self._values, compiled.variables, BUDGET, self._write.pace)
        found = []
        for annotation in compiled.annotations:
            began = perf_counter()
            value = audit_value(annotation, await activation.run(annotation.expression), fails)
            if value is not None:
                found.append(value._replace(seconds=perf_counter() - began))
        return found


class Verdict:
    """Gathers what the policies say of a write: denials, warnings, audit annotations."""

    def __init__(self, attributes: Attributes) -> None:
        self._attributes = attributes
        self.denials: list[Denial] = []
        # the distinct values of each annotation, by policy and key
        self._published: dict[tuple[str, str], list[str]] = {}

    def fault(self, fault: Fault) -> None:
        """A policy or binding that cannot be used denies, unless failures are ignored."""
        if fault.policy.fails:
            binding = fault.binding.name if fault.binding is not None else ""
            self.denials.append(Denial(_denied(fault.policy.name, binding, fault.message), INVALID))

    def decided(self, invocation: Invocation, decisions: Decisions) -> None:
        """Do what the binding says about each validation that does not hold."""
        policy, binding = invocation.policy.name, invocation.binding
        for index, decision in decisions:
            if not decision.denied:
                metrics.observe_validation(policy, binding.name, decision.error_type, "allow", decision.seconds)
                continue
            for action in binding.actions:
                if action == DENY:
                    message = _denied(policy, binding.name, decision.message)
                    self.denials.append(Denial(message, decision.reason or INVALID))
                elif action == AUDIT:
                    self._attributes.annotate(FAILURE_ANNOTATION, _failure(invocation, index, decision))
                elif action == WARN:
                    self._attributes.warnings.append(
                        f"Validation failed for ValidatingAdmissionPolicy '{policy}' with binding '{binding.name}': "
                        f"{decision.message}"
                    )
                metrics.observe_validation(policy, binding.name, decision.error_type, action.lower(), decision.seconds)

    def annotated(self, invocation: Invocation, values: list[AuditValue]) -> None:
        """Keep the values of audit annotations; one that could not be evaluated denies."""
        policy, binding = invocation.policy.name, invocation.binding.name
        for key, value, error, seconds in values:
            if error:
                self.denials.append(Denial(_denied(policy, binding, error), INVALID))
                kind = failed(error, True).error_type
                metrics.observe_validation(policy, binding, kind, "deny", seconds)
                continue
            known = self._published.setdefault((policy, key), [])
            cut = value.encode()[:LONGEST_ANNOTATION].decode(errors="ignore")
            if cut not in known:
                known.append(cut)

    def publish(self) -> None:
        """Put the annotations into the audit event."""
        for (policy, key), values in self._published.items():
            self._attributes.annotate(f"{policy}/{key}", ", ".join(values))


def _denied(policy: str, binding: str, why: str) -> str:
    which = f"'{policy}' with binding '{binding}'" if binding else f"'{policy}'"
    return f"ValidatingAdmissionPolicy {which} denied request: {why}"


def _failure(invocation: Invocation, index: int, decision: Decision) -> str:
    """The value of the annotation that tells of a validation that does not hold."""
    value = {
        "message": decision.message,
        "policy": invocation.binding.policy_name,
        "binding": invocation.binding.name,
        "expressionIndex": index,
        "validationActions": list(invocation.binding.actions),
    }
    return orjson.dumps([value]).decode().translate(_ESCAPES)


def refusal(attributes: Attributes, denial: Denial) -> ApiError:
    """The answer to a refused write: a 403 in words, with the code of the denial's reason."""
    error = forbidden(attributes, denial.message)
    error.code, error.reason = status_code(denial.reason), denial.reason
    error.details = {**(error.details or {}), "causes": [{"message": denial.message}]}
    return error
