"""Which policies with which bindings and parameters a write has to pass (policy/generic/policy_dispatcher.go)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

from apiserver_workers.admission.policies.matching import Match
from apiserver_workers.admission.policies.params import (
    NO_PARAMS,
    ConfigurationError,
    Params,
    ParamSources,
    Source,
    collect_params,
)
from apiserver_workers.admission.policies.source import Binding, Candidate, Policy
from apiserver_workers.admission.policies.write import Write
from apiserver_workers.apimachinery.errors import ApiError

Object = dict[str, Any]


class Fault(NamedTuple):
    """A policy, or one of its bindings, that matches and cannot be used."""

    policy: Policy
    binding: Binding | None
    message: str


class Invocation(NamedTuple):
    """A policy with a binding that matches a write, and the parameters that it is evaluated with, one after another."""

    policy: Policy
    binding: Binding
    match: Match
    params: Params


async def invocations(
    write: Write, candidates: Sequence[Candidate], sources: ParamSources
) -> AsyncIterator[Fault | Invocation]:
    """What of the candidates is about the write, in the order of the policies' and the bindings' names."""
    for candidate in candidates:
        policy = candidate.policy
        try:
            match = await write.matches(candidate.criteria)
            if match is None:
                continue
            source = await sources.find(policy.param_kind) if policy.param_kind else None
        except (ApiError, ConfigurationError) as error:
            yield Fault(policy, None, f"failed to configure policy: {text(error)}")
            continue
        for binding, criteria in candidate.bindings:
            try:
                if criteria is not None and await write.matches(criteria) is None:
                    continue
                params = await _params(write, source, binding)
            except (ApiError, ConfigurationError) as error:
                yield Fault(policy, binding, f"failed to configure binding: {text(error)}")
                continue
            yield Invocation(policy, binding, match, params)


async def _params(write: Write, source: Source | None, binding: Binding) -> Params:
    if source is None:
        return NO_PARAMS
    return await collect_params(source, binding.param_ref, write.attributes.namespace)


def text(error: Exception) -> str:
    """What an error says."""
    return error.message if isinstance(error, ApiError) else str(error)
