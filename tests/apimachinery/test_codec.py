from __future__ import annotations

from typing import Any

import orjson
import pytest
from apiserver_workers.apimachinery import codec
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.types import model

CONFIG_MAP = ("", "v1", "ConfigMap")


def decode(
    body: bytes | dict[str, Any], *, kind: tuple[str, str, str] = CONFIG_MAP, media_type: str = "json", check: str = ""
) -> tuple[dict[str, Any], list[str]]:
    text = body if isinstance(body, bytes) else orjson.dumps(body)
    return codec.decode(
        text,
        f"application/{media_type}",
        type=model().kind(*kind),
        default_gvk=kind,
        field_validation=check,
    )


def message(body: bytes | dict[str, Any], **options: Any) -> str:
    with pytest.raises(ApiError) as error:
        decode(body, **options)
    assert (error.value.code, error.value.reason) == (400, "BadRequest")
    return error.value.message


# -- what an object is ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"null", b"{}", b'{"apiVersion":"v1"}', b'{"kind":"ConfigMap"}'])
def test_kind_and_version_default_to_the_expected_ones(body: bytes) -> None:
    assert decode(body) == ({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {}}, [])


def test_another_kind_is_refused() -> None:
    assert message({"kind": "Secret", "apiVersion": "v1"}) == (
        'Secret in version "v1" cannot be handled as a ConfigMap: '
        "converting (v1.Secret) to (core.ConfigMap): unknown conversion"
    )


def test_an_unknown_kind_is_refused() -> None:
    assert 'no kind "Golden" is registered for version "example.com/v7" in scheme' in message(
        {"kind": "Golden", "apiVersion": "example.com/v7"}
    )


def test_another_version_of_the_kind_is_refused() -> None:
    text = message(
        {"kind": "HorizontalPodAutoscaler", "apiVersion": "autoscaling/v1"},
        kind=("autoscaling", "v2", "HorizontalPodAutoscaler"),
    )
    assert text == (
        "the API version in the data (autoscaling/v1) does not match the expected API version (autoscaling/v2)"
    )


def test_another_media_type_is_refused() -> None:
    with pytest.raises(ApiError) as error:
        codec.decode(b"", "text/plain", type=model().kind(*CONFIG_MAP), default_gvk=CONFIG_MAP)
    assert error.value.code == 415


# -- unknown, repeated and wrong fields -------------------------------------------------------------------------------

ODD = b'{"golden":1,"metadata":{"name":"x","colour":"red"},"data":{"a":"1","a":"2"},"data":{"b":"3"}}'
COMPLAINTS = [
    'unknown field "golden"',
    'unknown field "metadata.colour"',
    'duplicate field "data.a"',
    'duplicate field "data"',
]


@pytest.mark.parametrize("check", ["", "Warn"])
def test_unknown_and_repeated_fields_are_warned_of_in_order(check: str) -> None:
    obj, warnings = decode(ODD, check=check)
    assert warnings == COMPLAINTS
    assert obj == {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "x"}, "data": {"b": "3"}}


def test_ignoring_them_is_silent() -> None:
    assert decode(ODD, check="Ignore")[1] == []


def test_strict_validation_refuses_them() -> None:
    assert message(ODD, check="Strict") == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: ' + ", ".join(COMPLAINTS)
    )


def test_unknown_fields_in_lists_have_an_index() -> None:
    pod = {"spec": {"containers": [{"name": "a"}, {"name": "b", "golden": 1}]}}
    assert decode(pod, kind=("", "v1", "Pod"))[1] == ['unknown field "spec.containers[1].golden"']


def test_names_match_by_case() -> None:
    assert decode({"metadata": {"Labels": {"a": "b"}}, "Data": {}})[1] == [
        'unknown field "metadata.Labels"',
        'unknown field "Data"',
    ]


@pytest.mark.parametrize(
    "body",
    [
        rb'{"data":{"a\":":"1","b":"\":\":"}}',
        b'{"data": {"a" : "1"}}',
        b'{"data":{"a":"\\\\","b":"c"}}',
        b'{"metadata":{"managedFields":[{"fieldsV1":{"k:{\\"a\\":1}":{"f:b":{}}}}]}}',
    ],
)
def test_odd_but_unique_keys_are_no_duplicates(body: bytes) -> None:
    assert decode(body)[1] == []


DEPLOYMENT = ("apps", "v1", "Deployment")
POD = ("", "v1", "Pod")


@pytest.mark.parametrize(
    ("kind", "body", "why"),
    [
        (CONFIG_MAP, {"metadata": "x"}, "cannot unmarshal string into Go struct field ConfigMap.metadata of type v1.ObjectMeta"),
        (CONFIG_MAP, {"data": "x"}, "cannot unmarshal string into Go struct field ConfigMap.data of type map[string]string"),
        (CONFIG_MAP, {"data": {"a": {}}}, "cannot unmarshal object into Go struct field ConfigMap.data of type string"),
        (CONFIG_MAP, {"metadata": {"name": 5}}, "cannot unmarshal number into Go struct field ObjectMeta.metadata.name of type string"),
        (DEPLOYMENT, {"spec": {"replicas": 3000000000}}, "cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32"),
        (DEPLOYMENT, {"spec": {"replicas": "3"}}, "cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"),
        (POD, {"spec": {"containers": {}}}, "cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container"),
        (POD, {"spec": {"containers": [{"tty": 1}]}}, "cannot unmarshal number into Go struct field Container.spec.containers.tty of type bool"),
    ],
)  # fmt: skip
def test_wrong_types_are_explained_as_go_does(kind: tuple[str, str, str], body: dict[str, Any], why: str) -> None:
    expected = f'{kind[2]} in version "{kind[1]}" cannot be handled as a {kind[2]}: json: {why}'
    assert message(body, kind=kind) == expected


def test_the_first_wrong_field_is_named() -> None:
    assert "ConfigMap.immutable of type bool" in message({"immutable": "x", "data": 5})


def test_a_type_with_its_own_decoder_ends_the_search() -> None:
    body = {"spec": {"terminationGracePeriodSeconds": "x", "containers": [{"resources": {"limits": {"cpu": "zz"}}}]}}
    assert message(body, kind=POD).endswith("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")  # fmt: skip


@pytest.mark.parametrize(
    ("data", "offset"), [("!", 0), ("YW", 0), ("YWJj!", 4), ("YWI=x", 4), ("YW==YQ==", 4), ("YWJjZA=", 7)]
)
def test_bad_base64(data: str, offset: int) -> None:
    text = message({"data": {"a": data}}, kind=("", "v1", "Secret"))
    assert text.endswith(f"illegal base64 data at input byte {offset}")


# -- bodies that are no JSON ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "unexpected end of JSON input (<empty>)"),
        (b"golden", "invalid character 'g' looking for beginning of value (676f6c64656e)"),
        (b'{"a":1,}', "invalid character '}' looking for beginning of object key string ({\"a\":1,})"),
        (b'{"a" 1}', "invalid character '1' after object key ({\"a\" 1})"),
        (b'{"a":1 2}', "invalid character '2' after object key:value pair ({\"a\":1 2})"),
        (b"[1 2]", "invalid character '2' after array element (5b3120325d)"),
        (b"{}x", "invalid character 'x' after top-level value ({}x)"),
        (b'{"a":trux}', "invalid character 'x' in literal true (expecting 'e') ({\"a\":trux})"),
        (b'{"a":1.}', "invalid character '}' after decimal point in numeric literal ({\"a\":1.})"),
        (b'{"a":-}', "invalid character '}' in numeric literal ({\"a\":-})"),
        (b'{"a":1e}', "invalid character '}' in exponent of numeric literal ({\"a\":1e})"),
        (b'{"a":"\\x"}', "invalid character 'x' in string escape code ({\"a\":\"\\x\"})"),
        (b'{"a":"\\u1x"}', "invalid character 'x' in \\u hexadecimal character escape ({\"a\":\"\\u1x\"})"),
        (b'{"a":"\t"}', "invalid character '\\t' in string literal ({\"a\":\"\t\"})"),
        (b'{"kind":"ConfigMap","metadata":{"name"', "unexpected end of JSON input ({\"kind\":\"ConfigMap\",\"metadata\" ...)"),
    ],
)  # fmt: skip
def test_broken_json_is_explained_as_go_does(body: bytes, why: str) -> None:
    assert message(body) == (
        "the object provided is unrecognized (must be of type ConfigMap): "
        f"couldn't get version/kind; json parse error: {why}"
    )


@pytest.mark.parametrize(
    "body", [b'{"a":' * 10_001 + b"1" + b"}" * 10_001, b"[" * 20_000, b'{"a":' * 9_000 + b"1" + b"}" * 9_000]
)
def test_deep_nesting_is_an_error_and_no_crash(body: bytes) -> None:
    assert "exceeded max depth" in message(body)


def test_invalid_text_is_replaced() -> None:
    obj, _ = decode(b'{"data":{"a":"\xff","b":"\\ud83d","c":"\\ud83d\\ude00"}}')
    assert obj["data"] == {"a": "\ufffd", "b": "\ufffd", "c": "\U0001f600"}


# -- YAML -------------------------------------------------------------------------------------------------------------


def test_yaml_follows_version_1_1_as_go_reads_it() -> None:
    value, repeated = codec.load_yaml(
        b"{bools: [y, Off], ints: [0x10, 010, 1_000], floats: [1e3, .5], times: 2020-01-01, base60: 1:30, "
        b'quoted: "yes", none: ~, tag: !!str 5, 1: one}'
    )
    assert repeated == []
    assert value == {
        "bools": [True, False],
        "ints": [16, 8, 1000],
        "floats": [1000, 0.5],
        "times": "2020-01-01",
        "base60": "1:30",
        "quoted": "yes",
        "none": None,
        "tag": "5",
        "1": "one",
    }


def test_yaml_merges_maps() -> None:
    assert codec.load_yaml(b"a: &x {k: 1, l: 2}\nb: {<<: *x, k: 3}\n")[0]["b"] == {"k": 3, "l": 2}


def test_yaml_repeated_keys_are_told_by_line() -> None:
    body = b"kind: ConfigMap\napiVersion: v1\ndata:\n  a: '1'\n  a: '2'\n"
    obj, warnings = decode(body, media_type="yaml")
    assert (obj["data"], warnings) == ({"a": "2"}, ['line 5: key "a" already set in map'])
    assert message(body, media_type="yaml", check="Strict").endswith(
        'strict decoding error: yaml: unmarshal errors:\n  line 5: key "a" already set in map'
    )


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"a: [1\n", "yaml: line 1: did not find expected ',' or ']' (613a205b310a)"),
        (b"a: [", "yaml: line 1: did not find expected node content (613a205b)"),
        (b"a: *x", "yaml: unknown anchor 'x' referenced (613a202a78)"),
    ],
)
def test_broken_yaml(body: bytes, why: str) -> None:
    assert message(body, media_type="yaml") == f"the object provided is unrecognized (must be of type ConfigMap): {why}"


def test_yaml_bombs_are_refused() -> None:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert "document contains excessive aliasing" in message("\n".join(lines).encode(), media_type="yaml")
    assert "exceeded max depth" in message(b"[" * 5_000, media_type="yaml")


def test_a_yaml_patch_has_its_own_message() -> None:
    with pytest.raises(ApiError, match="error decoding YAML: error converting YAML to JSON: yaml: line 1: did not"):
        codec.from_yaml(b"a: [")


# -- encoding ---------------------------------------------------------------------------------------------------------


def test_kind_apiversion_and_metadata_come_first() -> None:
    obj = {"data": {"a": "b"}, "metadata": {"name": "x"}, "apiVersion": "v1", "kind": "ConfigMap"}
    assert codec.encode(obj) == (b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x"},"data":{"a":"b"}}')


def test_what_nests_deeper_than_usual_is_written_too() -> None:
    value: Any = 1
    for _ in range(400):
        value = {"a": value}
    assert orjson.loads(codec.encode({"kind": "X", "raw": value}))["raw"] == value
