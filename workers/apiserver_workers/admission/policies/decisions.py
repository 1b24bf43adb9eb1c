"""What a ValidatingAdmissionPolicy says of a write with one binding and one parameter.

Upstream: policy/validating/validator.go, policy_decision.go, errors.go; plugin/webhook/matchconditions/matcher.go.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from apiserver_workers.admission.policies.compiled import Annotation, Validation
from apiserver_workers.admission.policies.evaluation import OUT_OF_BUDGET, Result
from apiserver_workers.apimachinery.cel.values import type_name

LONGEST_MESSAGE = 5 * 1024
# The HTTP status of a refusal by its reason; every other reason is that of an invalid object.
CODES = {"Forbidden": 403, "Unauthorized": 401, "RequestEntityTooLarge": 413}
UNPROCESSABLE = 422

NO_ERROR, COMPILE_ERROR, BUDGET_ERROR, INVALID_ERROR = "no_error", "compile_error", "out_of_budget", "invalid_error"


class Decision(NamedTuple):
    """One validation's outcome. `errors` says that the expression could not be evaluated; an ignored error admits."""

    denied: bool
    message: str = ""
    reason: str = ""
    errors: bool = False
    seconds: float = 0.0

    @property
    def error_type(self) -> str:
        """How metrics name what happened. A refusal that is no error is an invalid_error as well."""
        if self.message.startswith("compilation"):
            return COMPILE_ERROR
        return BUDGET_ERROR if self.message.startswith(OUT_OF_BUDGET.partition(",")[0]) else INVALID_ERROR


class AuditValue(NamedTuple):
    """One audit annotation's outcome: a value, or an error that denies."""

    key: str
    value: str = ""
    error: str = ""
    seconds: float = 0.0


def failed(message: str, fails: bool, seconds: float = 0.0) -> Decision:
    """The decision of what cannot be evaluated, by the failure policy."""
    return Decision(fails, message, errors=True, seconds=seconds)


def decide(validation: Validation, result: Result, message: Result | None, broken: str, fails: bool) -> Decision | None:
    """The decision of a validation, None if it holds.

    `message` is the result of its messageExpression; `broken` says why no messageExpression could be evaluated.
    """
    if result.error:
        return failed(result.error, fails)
    if broken:
        return failed(f"failed messageExpression: {broken}", fails)
    if result.value is True:
        return None
    return Decision(True, denial(validation, message), validation.reason)


def denial(validation: Validation, message: Result | None) -> str:
    """What a client is told of a validation that does not hold."""
    text = ""
    if message is not None and not message.error and isinstance(message.value, str):
        text = message.value.strip()
        if len(text.encode()) > LONGEST_MESSAGE or "\n" in text:
            text = ""
    return text or validation.message.strip() or f"failed expression: {validation.expression.source.strip()}"


def audit_value(annotation: Annotation, result: Result, fails: bool) -> AuditValue | None:
    """What an audit annotation comes to, None if it is left out."""
    if result.error:
        return AuditValue(annotation.key, error=result.error) if fails else None
    value: Any = result.value
    if value is None:
        return None
    if isinstance(value, str):
        text = value.strip()
        return AuditValue(annotation.key, text) if text else None
    shown = type_name(value)
    error = (
        f"valueExpression '{annotation.expression.source}' resulted in unsupported return type: {shown}. "
        "Return type must be either string or null."
    )
    return AuditValue(annotation.key, error=error)


def status_code(reason: str) -> int:
    """The HTTP status of a refusal."""
    return CODES.get(reason, UNPROCESSABLE)
