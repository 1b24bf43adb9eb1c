"""The targets of random input behind HTTP: selectors, tokens, patches, bodies, and what is asked of the master."""

from __future__ import annotations

import base64
import json
from random import Random
from typing import Any

import orjson
from apiserver_supervisor.control import ControlError
from apiserver_supervisor.control_socket import Command, answer
from apiserver_workers.apimachinery import codec, quantity, times, types
from apiserver_workers.apimachinery.apply import fields
from apiserver_workers.apimachinery.codec import jsontext, yamltext
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.integers import whole
from apiserver_workers.apimachinery.patch import PatchError, json_patch, merge_patch
from apiserver_workers.apimachinery.selectors import parse_fields, parse_labels
from apiserver_workers.registry import continue_token
from apiserver_workers.registry.interpret import parse_revision
from apiserver_workers.server.delegation.raw_query import fields_without, has_field

from tests.hostile.inputs import Target, a_text, binaries, either, one_of, texts, together

NAMES = ("a", "b/c", "metadata", "name", "spec", "containers", "labels", "annotations", "f:a", "k:{}", "v:1", ".", "")
SCALARS = one_of(None, True, False, 0, -1, 1.5, 1 << 63, "", "a", "~1", "1h", "100m", "2030-01-01T00:00:00Z")
DEEPEST = 5


def value(random: Random, depth: int = 0) -> Any:
    """Some JSON value."""
    form = random.randrange(4) if depth < DEEPEST else 0
    if form == 1:
        return [value(random, depth + 1) for _ in range(random.randrange(4))]
    if form > 1:
        return {random.choice(NAMES): value(random, depth + 1) for _ in range(random.randrange(5))}
    return SCALARS(random)


def _operation(random: Random) -> Any:
    operation = {
        "op": random.choice(("add", "remove", "replace", "move", "copy", "test", "x", 1)),
        "path": _pointer(random),
        "from": _pointer(random),
        "value": value(random),
    }
    for name in random.sample(sorted(operation), random.choice((0, 0, 1, 2))):
        del operation[name]
    return operation


_pointer = texts(["/a", "/0", "/-", "/b~1c", "/~", "/9", "a", "/metadata", "/" + "9" * 50], limit=2_000)


def _operations(random: Random) -> Any:
    return [_operation(random) for _ in range(random.randrange(5))]


def _patched(given: tuple[Any, Any]) -> None:
    document, patch = given
    before = json.dumps(document)
    for apply in (json_patch, merge_patch):
        try:
            apply(document, patch)
        except (ApiError, PatchError):
            continue
    assert json.dumps(document) == before


def _encoded(random: Random) -> str:
    given = {"v": random.choice(("meta.k8s.io/v1", "v2", 1)), "rv": SCALARS(random), "start": SCALARS(random)}
    raw = orjson.dumps(random.choice((given, value(random)))) if random.random() < 0.8 else random.randbytes(20)
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _pod(random: Random) -> bytes:
    """A pod, or what is nearly one."""
    container = {"name": "c", "image": "i", **value_of_names(random, ("ports", "env", "resources", "command", "x"))}
    spec = {"containers": [container] * random.choice((1, 1, 2, 50)), **value_of_names(random, ("volumes", "nodeName"))}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": value(random), "spec": random.choice((spec, value(random)))}
    return orjson.dumps({**pod, **value_of_names(random, ("kind", "metadata", "status", "y"))})


def value_of_names(random: Random, names: tuple[str, ...]) -> dict[str, Any]:
    """Some of the names with any values."""
    return {name: value(random) for name in names if random.random() < 0.2}


def _body(data: bytes) -> None:
    codec.decode(
        data, "application/json", type=types.model().kind("", "v1", "Pod"), default_gvk=("", "v1", "Pod"),
        field_validation="Strict",
    )  # fmt: skip


def _asked(question: bytes) -> None:
    assert set(answer(question, COMMANDS)) in ({"error"}, {"result"})


def _scale(role: str, workers: int) -> str:
    if workers > 64:
        raise ControlError("too many")
    return f"{role} {workers}"


COMMANDS = {"status": Command(lambda: "fine"), "scale": Command(_scale, {"role": str, "workers": int})}


def _question(random: Random) -> bytes:
    command: Any = random.choice(("status", "scale", "x", 1, None, []))
    return json.dumps({"command": command, **value_of_names(random, ("role", "workers", "x"))}).encode()


def _without(text: str) -> None:
    fields_without(text, {"resourceVersion"})
    has_field(text, "continue")


_JSON = binaries(
    [b"{", b"}", b"[", b"]", b'"a"', b":", b",", b"1", b"9" * 5000, b"1e999", b"-", b"null", b"\\ud800", b" "]
)
_YAML = binaries(
    [
        b"a: b\n",
        b"- ",
        b"  ",
        b"&a ",
        b"*a",
        b"<<: ",
        b"{",
        b"}",
        b"[",
        b"]",
        b"!!int ",
        b"|\n",
        b"\t",
        b"? ",
        b"---\n",
        b"1_0",
    ]
)
_LABELS = texts(["a", "a=b", ",", "in", " ", "(", ")", "notin (", "!", "==", "!=", ">", "<", "5", "x/y"], limit=20_000)
_TERMS = texts(["a=b", ",", "=", "!=", "\\", "\\,", "metadata.name", "=="], limit=20_000)
_NUMBERS = texts(["1", "0", ".", "Ki", "m", "e", "E", "+", "-", "9" * 500, "²", "i", " "])
_TIMES = texts(["2030-01-01T00:00:00Z", "2030", "-", "01", "T", ":", ".", "Z", "+", "9" * 50])
_REVISIONS = texts(["resourceVersion=1", "&", "continue=", "=", "%", "resourceVersion"])

TARGETS: dict[str, Target] = {
    "label selector": Target(_LABELS, parse_labels, (ApiError,)),
    "field selector": Target(_TERMS, parse_fields, (ApiError,)),
    "continue token": Target(either(_encoded, a_text), continue_token.decode, (ApiError,)),
    "revision": Target(_NUMBERS, parse_revision, (ApiError, ValueError)),
    "integer": Target(_NUMBERS, whole, (ValueError,)),
    "quantity": Target(_NUMBERS, quantity.parse, (ValueError,)),
    "time": Target(_TIMES, times.parse, (ValueError,)),
    "revisions of a query": Target(_REVISIONS, _without),
    "JSON": Target(_JSON, jsontext.loads, (jsontext.DecodeError,)),
    "YAML": Target(_YAML, yamltext.load_yaml, (jsontext.DecodeError, ApiError, ValueError)),
    "patch": Target(together(value, either(_operations, value)), _patched),
    "field set": Target(value, fields.canonical, (ValueError,)),
    "body": Target(
        either(_pod, lambda random: orjson.dumps(value(random)), _JSON), _body, (jsontext.DecodeError, ApiError)
    ),
    "question to the master": Target(either(_question, _JSON), _asked),
}
