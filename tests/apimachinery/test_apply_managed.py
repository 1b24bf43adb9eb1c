"""The field manager: managedFields of every write, server-side apply and its errors."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from apiserver_workers.apimachinery.apply.managed import apply, ignore_times, manager_from_user_agent, track_update
from apiserver_workers.apimachinery.apply.plan import LEAF, plan
from apiserver_workers.apimachinery.apply.reset import reset_fields
from apiserver_workers.apimachinery.apply.scale import to_parent, to_scale
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.patch import without_nulls
from apiserver_workers.apimachinery.resources import resource
from apiserver_workers.apimachinery.types import Type, model
from hypothesis import given, settings
from hypothesis import strategies as st

KINDS = {"Deployment": "apps/v1", "ConfigMap": "v1", "Scale": "autoscaling/v1"}
TYPES = {kind: model().kind(version.rpartition("/")[0], "v1", kind) for kind, version in KINDS.items()}
DEPLOYMENTS = resource("apps", "v1", "deployments")
assert DEPLOYMENTS is not None

FIRST, SECOND, THIRD = (f"2026-01-0{day}T00:00:00Z" for day in (1, 2, 3))

Object = dict[str, Any]


def config_map(data: dict[str, str] | None = None, **metadata: Any) -> Object:
    obj: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", **metadata}}
    return {**obj, "data": data} if data else obj


def written(live: Object | None, new: Object, manager: str, now: str = FIRST, **options: Any) -> Object:
    """`new` written over `live` as the server would do it; neither may be changed on the way."""
    kind = new["kind"]
    before = copy.deepcopy((live, new))
    result = track_update(TYPES[kind], live, {**new}, manager=manager, api_version=KINDS[kind], now=now, **options)
    assert (live, new) == before
    return result


def applied(live: Object | None, patch: Object, manager: str, now: str = FIRST, **options: Any) -> Object:
    kind = patch["kind"]
    before = copy.deepcopy((live, patch))
    result, _ = apply(TYPES[kind], live, patch, manager=manager, api_version=KINDS[kind], kind=kind, now=now, **options)
    assert (live, patch) == before
    return without_nulls(result)


def owned(obj: Object) -> dict[str, Any]:
    """Fields by manager."""
    return {entry["manager"]: entry["fieldsV1"] for entry in obj["metadata"].get("managedFields", ())}


def entries(obj: Object) -> list[Object]:
    return obj["metadata"]["managedFields"]


# --- create and update --------------------------------------------------------------------------------------------


def test_a_created_object_belongs_to_its_creator() -> None:
    obj = written(None, config_map({"a": "1"}, labels={"l": "1"}, uid="u"), "m")
    assert entries(obj) == [
        {
            "manager": "m",
            "operation": "Update",
            "apiVersion": "v1",
            "time": FIRST,
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {".": {}, "f:a": {}}, "f:metadata": {"f:labels": {".": {}, "f:l": {}}}},
        }
    ]


def test_an_update_takes_over_what_it_changes() -> None:
    obj = written(None, config_map({"a": "1", "b": "2"}), "m1")
    new = written(obj, config_map({"a": "one", "b": "2"}), "m2", SECOND)
    assert owned(new) == {"m1": {"f:data": {".": {}, "f:b": {}}}, "m2": {"f:data": {"f:a": {}}}}
    assert [entry["time"] for entry in entries(new)] == [FIRST, SECOND]


def test_removed_fields_belong_to_nobody() -> None:
    obj = written(None, config_map({"a": "1", "b": "2"}), "m1")
    assert owned(written(obj, config_map({"b": "2"}), "m2", SECOND)) == {"m1": {"f:data": {".": {}, "f:b": {}}}}
    assert entries(written(obj, config_map({"b": "2"}), "m2", SECOND))[0]["time"] == FIRST


def test_an_update_that_changes_nothing_keeps_the_very_same_entries() -> None:
    obj = written(None, config_map({"a": "1"}), "m1")
    sent = copy.deepcopy(obj)
    assert entries(written(obj, sent, "m2", SECOND)) is entries(obj)
    del sent["metadata"]["managedFields"]
    assert entries(written(obj, sent, "m2", SECOND)) is entries(obj)


def test_entries_are_in_the_order_of_operation_time_and_name() -> None:
    obj = written(None, config_map({"a": "1"}), "z", FIRST)
    obj = written(obj, config_map({"a": "1", "b": "1"}), "y", SECOND)
    obj = written(obj, config_map({"a": "1", "b": "1", "c": "1"}), "x", SECOND)
    obj = applied(obj, config_map({"d": "1"}), "w", THIRD)
    assert [entry["manager"] for entry in entries(obj)] == ["w", "z", "x", "y"]


@pytest.mark.parametrize("reset", [[], [{}]])
def test_managers_can_be_forgotten_and_are_not_tracked_before_the_next_apply(reset: Any) -> None:
    obj = written(None, config_map({"a": "1"}), "m1")
    bare = written(obj, config_map({"a": "1"}, managedFields=reset), "m2", SECOND)
    assert "managedFields" not in bare["metadata"]
    bare = written(bare, config_map({"a": "2"}), "m3", THIRD)
    assert "managedFields" not in bare["metadata"]
    assert owned(applied(bare, config_map({"b": "1"}), "m4", THIRD)) == {
        "m4": {"f:data": {"f:b": {}}},
        "before-first-apply": {"f:data": {".": {}, "f:a": {}}},
    }


def test_clients_may_set_entries_but_not_bad_ones_and_not_through_a_subresource() -> None:
    obj = written(None, config_map({"a": "1"}), "m1")
    fake = [
        {
            "manager": "fake",
            "operation": "Apply",
            "apiVersion": "v1",
            "time": SECOND,
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {"f:a": {}}},
        }
    ]
    assert entries(written(obj, config_map({"a": "1"}, managedFields=fake), "m2", THIRD)) == fake
    assert entries(
        written(obj, config_map({"a": "1"}, managedFields=fake), "m2", THIRD, subresource="status")
    ) == entries(obj)
    for bad in (
        {"operation": "Golden"},
        {"apiVersion": ""},
        {"fieldsType": ""},
        {"fieldsType": "FieldsV2"},
        {"fieldsV1": {"x": {}}},
    ):
        sent = [{**fake[0], **bad}]
        assert entries(written(obj, config_map({"a": "1"}, managedFields=sent), "m2", THIRD)) == entries(obj)


def test_the_oldest_of_more_than_ten_updaters_become_one() -> None:
    obj = written(None, config_map({"k0": "1"}), "m0", "2026-01-01T00:00:00Z")
    for number in range(1, 13):
        data = {f"k{key}": "1" for key in range(number + 1)}
        obj = written(obj, config_map(data), f"m{number}", f"2026-01-01T00:00:{number:02}Z")
    assert len(entries(obj)) == 10
    assert set(owned(obj)) == {"ancient-changes", *(f"m{number}" for number in range(4, 13))}
    assert owned(obj)["ancient-changes"] == {"f:data": {".": {}, "f:k0": {}, "f:k1": {}, "f:k2": {}, "f:k3": {}}}
    assert entries(obj)[0]["time"] == "2026-01-01T00:00:03Z"


def test_a_subresource_has_its_own_entry_and_resets_what_it_may_not_set() -> None:
    def deployment(replicas: int, ready: int) -> Object:
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "d"},
            "spec": {"replicas": replicas},
            "status": {"readyReplicas": ready},
        }

    obj = written(None, deployment(1, 7), "m", reset=reset_fields(DEPLOYMENTS))
    assert owned(obj) == {"m": {"f:spec": {"f:replicas": {}}}}
    options = {"subresource": "status", "reset": reset_fields(DEPLOYMENTS, "status")}
    obj = written(obj, deployment(5, 8), "c", SECOND, **options)
    assert owned(obj) == {"m": {"f:spec": {"f:replicas": {}}}, "c": {"f:status": {"f:readyReplicas": {}}}}
    assert entries(obj)[1]["subresource"] == "status"


def test_whoever_resizes_a_pod_owns_what_the_request_says() -> None:
    pods = resource("", "v1", "pods")
    assert pods is not None
    assert reset_fields(pods, "resize") is None
    changed = {"f:spec": {"f:nodeName": {}}, "f:status": {"f:phase": {}}}
    status = reset_fields(pods, "status")
    assert status is not None
    assert status(changed) == {"f:status": {"f:phase": {}}}


def test_entries_of_other_versions_are_compared_in_their_version() -> None:
    def convert(obj: Object, version: str) -> tuple[Type, Object] | None:
        data = {"old-" + key: value for key, value in obj.get("data", {}).items()}
        return (TYPES["ConfigMap"], {**obj, "data": data}) if version == "v0" else None

    def entry(manager: str, version: str, key: str) -> Object:
        fields = {"f:data": {f"f:{key}": {}}}
        base = {"manager": manager, "operation": "Update", "apiVersion": version, "fieldsType": "FieldsV1"}
        return {**base, "fieldsV1": fields}

    held = [entry("m", "v0", "old-a"), entry("m2", "v0", "old-b"), entry("gone", "v9", "a")]
    obj = config_map({"a": "1", "b": "1"}, managedFields=held)
    new = written(obj, config_map({"a": "2", "b": "1"}), "n", convert=convert)
    assert owned(new) == {"m2": {"f:data": {"f:old-b": {}}}, "n": {"f:data": {"f:a": {}}}}


@pytest.mark.parametrize(
    ("user_agent", "manager"),
    [
        ("kubectl/v1.36.0 (linux/amd64)", "kubectl"),
        ("plain", "plain"),
        ("", ""),
        ("a\x00b/1", "ab"),
        ("x" * 200, "x" * 128),
    ],
)
def test_the_manager_of_a_request_that_names_none(user_agent: str, manager: str) -> None:
    assert manager_from_user_agent(user_agent) == manager


def test_a_nameless_manager_is_unknown() -> None:
    assert owned(written(None, config_map({"a": "1"}), "")) == {"unknown": {"f:data": {".": {}, "f:a": {}}}}


# --- apply --------------------------------------------------------------------------------------------------------


def deployment(containers: list[Object], **spec: Any) -> Object:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": containers}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {"template": template, **spec},
    }


def test_an_applied_object_belongs_to_its_applier() -> None:
    container = {"name": "c", "image": "i", "ports": [{"containerPort": 80}]}
    obj = applied(None, deployment([container], replicas=2, selector={"matchLabels": {"a": "b"}}), "m1")
    port = {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}}
    name = 'k:{"name":"c"}'
    assert entries(obj) == [
        {
            "manager": "m1",
            "operation": "Apply",
            "apiVersion": "apps/v1",
            "time": FIRST,
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:spec": {
                    "f:replicas": {},
                    "f:selector": {},
                    "f:template": {
                        "f:metadata": {"f:labels": {"f:a": {}}},
                        "f:spec": {"f:containers": {name: {".": {}, "f:image": {}, "f:name": {}, "f:ports": port}}},
                    },
                }
            },
        }
    ]


def test_appliers_share_what_they_agree_on_and_the_last_one_removes_it() -> None:
    obj = applied(None, config_map({"a": "1", "b": "1"}), "m1")
    obj = applied(obj, config_map({"a": "1"}), "m2", SECOND)
    obj = applied(obj, config_map({"c": "1"}), "m1", THIRD)
    assert obj["data"] == {"a": "1", "c": "1"}
    obj = applied(obj, config_map(), "m2", THIRD)
    assert obj["data"] == {"c": "1"}
    assert owned(obj) == {"m1": {"f:data": {"f:c": {}}}}


def test_a_list_item_goes_with_its_last_owner_and_takes_defaults_along() -> None:
    obj = applied(None, deployment([{"name": "c", "image": "i"}, {"name": "d", "image": "j"}]), "m1")
    obj["spec"]["template"]["spec"]["containers"][1]["imagePullPolicy"] = "Always"
    obj = applied(obj, deployment([{"name": "c", "image": "i"}]), "m1", SECOND)
    assert obj["spec"]["template"]["spec"]["containers"] == [{"name": "c", "image": "i"}]


def test_a_list_item_stays_as_long_as_somebody_owns_it() -> None:
    obj = applied(None, deployment([{"name": "c", "image": "i"}, {"name": "d", "image": "j"}]), "m1")
    obj = applied(obj, deployment([{"name": "d", "args": ["x"]}]), "m2", SECOND)
    obj = applied(obj, deployment([{"name": "c", "image": "i"}]), "m1", THIRD)
    assert obj["spec"]["template"]["spec"]["containers"] == [
        {"name": "c", "image": "i"},
        {"name": "d", "args": ["x"]},
    ]


def failure(live: Object | None, patch: Object, manager: str, **options: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        applied(live, patch, manager, **options)
    return caught.value


def test_a_conflict_names_manager_and_field() -> None:
    obj = applied(None, config_map({"a": "1"}), "m1")
    error = failure(obj, config_map({"a": "2"}), "m2")
    assert (error.code, error.reason) == (409, "Conflict")
    assert error.message == 'Apply failed with 1 conflict: conflict with "m1": .data.a'
    cause = {"reason": "FieldManagerConflict", "message": 'conflict with "m1"', "field": ".data.a"}
    assert error.details == {"causes": [cause]}


def test_conflicts_are_listed_by_manager() -> None:
    obj = applied(None, deployment([{"name": "c", "image": "i"}], replicas=1), "m1")
    scaled = copy.deepcopy(obj)
    scaled["spec"]["replicas"] = 2
    obj = written(obj, scaled, "hpa", SECOND, subresource="scale")
    error = failure(obj, deployment([{"name": "c", "image": "j"}], replicas=3), "m2")
    assert error.message == (
        "Apply failed with 2 conflicts: "
        'conflicts with "hpa" with subresource "scale" using apps/v1:\n- .spec.replicas\n'
        'conflicts with "m1":\n- .spec.template.spec.containers[name="c"].image'
    )


def test_force_takes_over() -> None:
    obj = applied(None, config_map({"a": "1", "b": "1"}), "m1")
    obj = applied(obj, config_map({"a": "2"}), "m2", SECOND, force=True)
    assert obj["data"] == {"a": "2", "b": "1"}
    assert owned(obj) == {"m1": {"f:data": {"f:b": {}}}, "m2": {"f:data": {"f:a": {}}}}


def test_an_apply_that_changes_nothing_keeps_its_time() -> None:
    obj = applied(None, config_map({"a": "1"}), "m1", FIRST)
    assert entries(applied(obj, config_map({"a": "1"}), "m1", SECOND)) == entries(obj)


@pytest.mark.parametrize(
    ("patch", "code", "message"),
    [
        ({"apiVersion": "v1", "kind": "Golden", "metadata": {}}, 400, "invalid object type: /v1, Kind=Golden"),
        ({"kind": "ConfigMap", "metadata": {}}, 400, "invalid object type: /, Kind=ConfigMap"),
        ({"apiVersion": 1, "kind": [], "metadata": {}}, 400, "invalid object type: /, Kind="),
        (config_map(managedFields=[]), 400, "metadata.managedFields must be nil"),
        (
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": ["x"]},
            500,
            "failed to create typed patch object (/; /v1, Kind=ConfigMap): .metadata: expected map, got &{[x]}",
        ),
        (
            {**config_map(namespace="n"), "golden": 1},
            500,
            "failed to create typed patch object (n/c; /v1, Kind=ConfigMap): .golden: field not declared in schema",
        ),
    ],
)
def test_configurations_that_cannot_be_applied(patch: Any, code: int, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        apply(TYPES["ConfigMap"], None, patch, manager="m", api_version="v1", kind="ConfigMap", now=FIRST)
    assert (caught.value.code, caught.value.message) == (code, message)
    assert caught.value.reason == ("BadRequest" if code == 400 else "")


def test_kubectl_takes_over_what_it_applied_from_the_client_side() -> None:
    annotation = "kubectl.kubernetes.io/last-applied-configuration"
    last = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"a":"1"}}\n'
    live = config_map({"a": "1", "b": "other"}, annotations={annotation: last})
    live = written(None, live, "kubectl-client-side-apply")
    moved = applied(live, config_map({"a": "2"}), "kubectl", SECOND)
    assert moved["data"] == {"a": "2", "b": "other"}
    assert moved["metadata"]["annotations"][annotation] == (
        '{"apiVersion":"v1","data":{"a":"2"},"kind":"ConfigMap","metadata":{"name":"c"}}\n'
    )
    assert failure(live, config_map({"a": "2", "b": "mine"}), "kubectl").message.endswith(
        'conflict with "kubectl-client-side-apply" using v1: .data.b'
    )
    assert failure(live, config_map({"a": "2"}), "other").code == 409


def test_scale_shows_and_moves_who_owns_the_replicas() -> None:
    mappings = {"apps/v1": ("f:spec", "f:replicas")}
    parent = applied(None, deployment([{"name": "c"}], replicas=2), "m1")
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "d"}, "spec": {"replicas": 2}}
    scale["metadata"]["managedFields"] = to_scale(entries(parent), mappings)
    assert owned(scale) == {"m1": {"f:spec": {"f:replicas": {}}}}
    new = written(scale, {**scale, "spec": {"replicas": 9}}, "hpa", SECOND, subresource="scale")
    moved = to_parent(entries(parent), entries(new), "apps/v1", mappings)
    assert [(entry["manager"], entry["apiVersion"], "time" in entry) for entry in moved] == [
        ("m1", "apps/v1", True),
        ("hpa", "apps/v1", False),
    ]
    assert moved[1]["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in moved[0]["fieldsV1"]["f:spec"]


def test_a_write_that_only_moves_times_is_none() -> None:
    obj = written(None, config_map({"a": "1"}), "m1")
    touched = copy.deepcopy(obj)
    entries(touched)[0]["time"] = SECOND
    assert entries(ignore_times(obj, touched)) is entries(obj)
    touched["data"]["a"] = "2"
    assert ignore_times(obj, touched) is touched


# --- properties ---------------------------------------------------------------------------------------------------

VALUES = st.sampled_from(["1", "2"])
CONTAINER = st.fixed_dictionaries(
    {"name": st.sampled_from("abc")},
    optional={
        "image": VALUES,
        "env": st.lists(
            st.fixed_dictionaries({"name": st.sampled_from("XY")}, optional={"value": VALUES}),
            max_size=2,
            unique_by=lambda item: item["name"],
        ),
        "args": st.lists(VALUES, max_size=2),
        "resources": st.dictionaries(
            st.sampled_from(["limits", "requests"]), st.fixed_dictionaries({"cpu": VALUES}), max_size=2
        ),
    },
)
CONTAINERS = st.lists(CONTAINER, max_size=3, unique_by=lambda item: item["name"])
CONFIG = st.builds(deployment, CONTAINERS, replicas=st.integers(1, 3))


@settings(max_examples=150, deadline=None)
@given(CONFIG, CONFIG)
def test_apply_is_idempotent(live: Object, config: Object) -> None:
    start = written(None, live, "creator")
    once = applied(start, config, "m", SECOND, force=True)
    again = applied(once, config, "m", THIRD, force=True)
    assert again == once


@settings(max_examples=150, deadline=None)
@given(CONFIG, CONFIG, CONFIG)
def test_what_was_applied_is_there_and_owned(live: Object, first: Object, second: Object) -> None:
    obj = applied(written(None, live, "creator"), first, "m", SECOND, force=True)
    obj = applied(obj, second, "m", THIRD, force=True)
    containers = {item["name"]: item for item in obj["spec"]["template"]["spec"].get("containers") or ()}
    for wanted in second["spec"]["template"]["spec"]["containers"]:
        for field in ("image", "args"):
            if wanted.get(field):
                assert containers[wanted["name"]][field] == wanted[field]
        held = {item["name"]: item.get("value") for item in containers[wanted["name"]].get("env") or ()}
        for item in wanted.get("env") or ():
            assert item["name"] in held
            assert item.get("value") is None or held[item["name"]] == item["value"]


DATA = st.dictionaries(st.sampled_from("abcdef"), VALUES, max_size=5)


@settings(max_examples=150, deadline=None)
@given(DATA, DATA, DATA)
def test_managers_with_disjoint_fields_commute(start: Any, left: Any, right: Any) -> None:
    right = {key: value for key, value in right.items() if key not in left}
    live = written(None, config_map(start), "creator")
    one, two = config_map(left), config_map(right)
    forth = applied(applied(live, one, "m1", SECOND, force=True), two, "m2", SECOND, force=True)
    back = applied(applied(live, two, "m2", SECOND, force=True), one, "m1", SECOND, force=True)
    assert forth.get("data") == back.get("data")
    assert owned(forth) == owned(back)


@settings(max_examples=150, deadline=None)
@given(DATA, DATA, DATA)
def test_what_the_applier_does_not_own_is_untouched(start: Any, first: Any, second: Any) -> None:
    live = written(None, config_map(start), "creator")
    obj = applied(live, config_map(first), "m", SECOND, force=True)
    obj = applied(obj, config_map(second), "m", THIRD, force=True)
    for key, value in start.items():
        if key not in first and key not in second:
            assert obj["data"][key] == value
    for key in set(obj.get("data") or ()) - set(second):
        assert key in start


@settings(max_examples=100, deadline=None)
@given(st.sets(st.sampled_from("abcdef")), st.sets(st.sampled_from("abcdef")), st.sets(st.sampled_from("abcdef")))
def test_managers_of_different_containers_commute(start: Any, left: Any, right: Any) -> None:
    def deployment(names: Any, image: str) -> Object:
        containers = [{"name": name, "image": f"{image}-{name}"} for name in sorted(names)]
        spec = {"template": {"spec": {"containers": containers}}}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}

    live = written(None, deployment(start, "old"), "creator")
    one, two = deployment(left, "one"), deployment(right - left, "two")
    forth = applied(applied(live, one, "m1", SECOND, force=True), two, "m2", SECOND, force=True)
    back = applied(applied(live, two, "m2", SECOND, force=True), one, "m1", SECOND, force=True)
    found = (
        {c["name"]: c["image"] for c in obj["spec"]["template"]["spec"].get("containers") or ()}
        for obj in (forth, back)
    )
    assert next(found) == next(found)
    assert owned(forth) == owned(back)


# --- what was applied before and is not any more ------------------------------------------------------------------


@pytest.mark.parametrize(
    "dropped",
    [
        {"annotations": {"a": "b"}},
        {"labels": {"a": "b"}},
        {"finalizers": ["example.com/f"]},
        {"ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u"}]},
        {"annotations": {"a": "b"}, "labels": {"a": "b"}},
    ],
)
def test_the_last_metadata_of_a_manager_can_go(dropped: Object) -> None:
    obj = applied(None, config_map({"k": "v"}, **dropped), "m")
    obj["metadata"] |= {"uid": "u", "creationTimestamp": FIRST, "generation": 1}
    obj = applied(obj, config_map({"k": "v"}), "m", SECOND)
    kept = {"name": "c", "uid": "u", "creationTimestamp": FIRST, "generation": 1}
    assert {name: value for name, value in obj["metadata"].items() if name != "managedFields"} == kept
    assert owned(obj) == {"m": {"f:data": {"f:k": {}}}}


def test_the_last_metadata_of_a_manager_goes_beside_those_of_others() -> None:
    obj = applied(None, config_map(annotations={"a": "b"}, namespace="n"), "m")
    obj = applied(obj, config_map(labels={"l": "1"}, namespace="n"), "other", SECOND)
    obj = applied(obj, config_map(namespace="n"), "m", THIRD)
    assert {**obj["metadata"], "managedFields": None} == {
        "name": "c", "namespace": "n", "labels": {"l": "1"}, "managedFields": None,
    }  # fmt: skip
    assert owned(obj) == {"other": {"f:metadata": {"f:labels": {"f:l": {}}}}}


def test_what_was_applied_in_another_version_goes_and_what_others_own_in_theirs_stays() -> None:
    def convert(obj: Object, version: str) -> tuple[Type, Object] | None:
        """Version v0 calls every key of data `old-`."""
        data = dict(obj.get("data") or {})
        if version == obj["apiVersion"]:
            return TYPES["ConfigMap"], obj
        if version == "v0":
            data = {f"old-{key}": value for key, value in data.items()}
        else:
            data = {key.removeprefix("old-"): value for key, value in data.items()}
        return TYPES["ConfigMap"], {**obj, "apiVersion": version, "data": data}

    def entry(manager: str, version: str, *keys: str) -> Object:
        fields = {"f:data": {f"f:{key}": {} for key in keys}}
        base = {"manager": manager, "operation": "Apply", "apiVersion": version, "fieldsType": "FieldsV1"}
        return {**base, "fieldsV1": fields}

    held = [entry("m", "v1", "a", "b", "c"), entry("other", "v0", "old-a")]
    obj = config_map({"a": "1", "b": "1", "c": "1"}, managedFields=held)
    assert applied(obj, config_map({"c": "1"}), "m", convert=convert)["data"] == {"a": "1", "c": "1"}
    held = [entry("m", "v0", "old-a", "old-b", "old-c"), entry("other", "v1", "a")]
    obj = config_map({"a": "1", "b": "1", "c": "1"}, managedFields=held)
    assert applied(obj, config_map({"c": "1"}), "m", convert=convert)["data"] == {"a": "1", "c": "1"}


# --- a field says otherwise than its type -------------------------------------------------------------------------


def applied_volume(live: Object | None, claim: Object, manager: str, **options: Any) -> Object:
    config = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "v"}, "spec": {"claimRef": claim}}
    type = model().kind("", "v1", "PersistentVolume")
    result, _ = apply(
        type, live, config, manager=manager, api_version="v1", kind="PersistentVolume", now=FIRST, **options
    )
    return without_nulls(result)


def test_the_claim_of_a_volume_is_shared_field_by_field() -> None:
    bound = {"kind": "PersistentVolumeClaim", "namespace": "n", "name": "c", "uid": "u"}
    obj = applied_volume(None, bound, "binder")
    obj = applied_volume(obj, {"namespace": "n", "name": "c"}, "user")
    assert obj["spec"]["claimRef"] == bound
    obj = applied_volume(obj, {"namespace": "n", "name": "d"}, "user", force=True)
    assert obj["spec"]["claimRef"] == {**bound, "name": "d"}
    assert owned(obj) == {
        "binder": {"f:spec": {"f:claimRef": {"f:kind": {}, "f:namespace": {}, "f:uid": {}}}},
        "user": {"f:spec": {"f:claimRef": {"f:name": {}, "f:namespace": {}}}},
    }


@pytest.mark.parametrize(
    ("group", "kind", "path", "atomic"),
    [
        ("", "PersistentVolume", "spec.claimRef", False),
        ("", "PersistentVolumeClaim", "status.allocatedResourceStatuses", False),
        ("", "PersistentVolumeClaim", "spec.dataSource", True),
        ("", "PersistentVolumeClaim", "spec.selector", True),
        ("", "Pod", "spec.nodeSelector", True),
        ("", "Service", "spec.selector", True),
        ("", "Event", "involvedObject", True),
        ("apps", "Deployment", "spec.selector", True),
    ],
)
def test_structs_and_maps_that_are_one_value(group: str, kind: str, path: str, atomic: bool) -> None:
    node = plan(model().kind(group, "v1", kind))
    for name in path.split("."):
        node = node.fields[name][1]
    assert (node.kind == LEAF) is atomic
