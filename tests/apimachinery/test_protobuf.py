from __future__ import annotations

import random
import struct

import pytest
from apiserver_workers.apimachinery import codec, protobuf
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.resources import builtin_resources
from apiserver_workers.apimachinery.types import model

from tests.kinds import kinds

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"


@pytest.mark.parametrize("name", kinds())
def test_json_and_protobuf_convert_into_each_other_exactly(name: str) -> None:
    filled = kinds()[name]
    type = model().kind(*filled.gvk)
    assert protobuf.encode_object(type, filled.object) == filled.protobuf
    decoded = protobuf.decode_object(type, filled.protobuf)
    assert {key: value for key, value in codec.normalise(type, decoded).items() if value != ""} == filled.object


def test_there_is_an_object_of_every_kind_that_is_served() -> None:
    served = {(info.group, info.version, info.kind) for info in builtin_resources().values() if info.server == "core"}
    assert not served - {filled.gvk for filled in kinds().values()}


def test_values_that_are_no_pointers_are_written_even_when_they_are_zero() -> None:
    type = model().kind("", "v1", "ConfigMap")
    message = protobuf.encode_message(type, {"metadata": {"name": "x"}})
    assert message == b"\x0a\x11\x0a\x01x\x12\x00\x1a\x00\x22\x00\x2a\x00\x32\x00\x38\x00\x42\x00"


def test_zero_values_vanish_again_when_decoded() -> None:
    kind = ("apps", "v1", "Deployment")
    type = model().kind(*kind)
    obj = {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "x"}, "spec": {"replicas": 0}}
    body = protobuf.encode_object(type, obj)
    decoded, _ = codec.decode(body, MEDIA_TYPE, type=type, default_gvk=kind)
    assert decoded == codec.normalise(type, obj)


def test_negative_numbers_take_ten_bytes() -> None:
    type = model().kind("scheduling.k8s.io", "v1", "PriorityClass")
    body = protobuf.encode_object(type, {"kind": "PriorityClass", "apiVersion": "scheduling.k8s.io/v1", "value": -5})
    assert protobuf.decode_object(type, body)["value"] == -5


def test_a_watch_frame_is_an_event_behind_its_length() -> None:
    type = model().kind("", "v1", "ConfigMap")
    body = protobuf.encode_object(type, {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "x"}})
    frame = protobuf.encode_watch_event("ADDED", body)
    (length,) = struct.unpack(">I", frame[:4])
    assert length == len(frame) - 4
    assert frame[4:11] == b"\x0a\x05ADDED"
    assert frame.endswith(body)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"apiVersion":"v1"}', "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"),
        (b"k8s\x00\x01\x02\x03", "proto: Unknown: illegal tag 0 (wire type 1)"),
        (b"k8s\x00\x0a\xff", "unexpected EOF"),
    ],
)  # fmt: skip
def test_what_is_no_protobuf_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(ApiError, match="the object provided is unrecognized") as error:
        codec.decode(body, MEDIA_TYPE, type=model().kind("", "v1", "Pod"), default_gvk=("", "v1", "Pod"))
    assert (error.value.code, why in error.value.message) == (400, True)


def test_garbage_never_raises_anything_else() -> None:
    chance = random.Random(7)
    type = model().kind("", "v1", "Pod")
    body = kinds()["core.v1.Pod"].protobuf
    refused = 0
    for _ in range(300):
        broken = bytearray(body)
        for _ in range(chance.randint(1, 4)):
            broken[chance.randrange(20, len(broken))] = chance.randrange(256)
        end = chance.choice((len(body), chance.randrange(4, len(body))))
        try:
            codec.decode(bytes(broken[:end]), MEDIA_TYPE, type=type, default_gvk=("", "v1", "Pod"))
        except ApiError as error:
            assert error.code == 400
            refused += 1
    assert refused > 100
