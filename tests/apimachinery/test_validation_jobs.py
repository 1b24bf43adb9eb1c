"""What a Job and a CronJob may say, and what others may write into a Job's status."""

from __future__ import annotations

import re
from typing import Any

import pytest
from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.resources import builtin_resources
from apiserver_workers.apimachinery.validation.job_status import count_indexes
from apiserver_workers.apimachinery.validation.objects import validate_create, validate_update

INFOS = {info.kind: info for info in builtin_resources().values() if (info.group, info.version) == ("batch", "v1")}
CONTAINER = {"name": "c", "image": "i", "imagePullPolicy": "Always", "terminationMessagePolicy": "File"}
TEMPLATE = {
    "metadata": {"labels": {"a": "b"}},
    "spec": {"containers": [CONTAINER], "restartPolicy": "Never", "dnsPolicy": "Default"},
}


def job(status: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "kind": "Job",
        "metadata": {"name": "j", "namespace": "n", "uid": "u", "resourceVersion": "1"},
        "spec": {
            "manualSelector": True,
            "selector": {"matchLabels": {"a": "b"}},
            "template": TEMPLATE,
            "completions": 1,
            "parallelism": 1,
            **spec,
        },
        "status": status or {},
    }


def listed(errors: Any) -> list[str]:
    return [f"{error.field}: {error.body}" for error in errors]


def on_create(**spec: Any) -> list[str]:
    return listed(validate_create(INFOS["Job"], job(**spec)))


def on_update(old: dict[str, Any], new: dict[str, Any], subresource: str = "") -> list[str]:
    return listed(validate_update(INFOS["Job"], new, old, subresource=subresource))


def status(old: dict[str, Any], new: dict[str, Any], **spec: Any) -> list[str]:
    return on_update(job(old, **spec), job(new, **spec), "status")


def true(*kinds: str) -> list[dict[str, str]]:
    return [{"type": kind, "status": "True"} for kind in kinds]


def test_a_rule_needs_an_action_and_something_to_look_at() -> None:
    assert on_create(podFailurePolicy={"rules": [{}]}) == [
        'spec.podFailurePolicy.rules[0].action: Required value: valid values: ["Count" "FailIndex" "FailJob" "Ignore"]',
        "spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
    ]


def test_an_index_fails_only_where_indexes_have_a_limit() -> None:
    rule = {"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [1]}}
    assert on_create(podFailurePolicy={"rules": [rule]}) == [
        'spec.podFailurePolicy.rules[0].action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set'
    ]


def test_very_many_completions_run_few_at_a_time() -> None:
    spec = {"completionMode": "Indexed", "completions": 100_001, "parallelism": 10_001, "backoffLimitPerIndex": 1}
    assert on_create(**spec) == [
        "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000",
        "spec.parallelism: Invalid value: 10001: must be less than or equal to 10000 "
        "when completions are above 100000 and used with backoff limit per index",
    ]


def test_a_job_succeeds_by_indexes_that_it_has() -> None:
    rules = [{"succeededIndexes": "0,2-3", "succeededCount": 4}, {"succeededIndexes": "3-2"}]
    assert on_create(completionMode="Indexed", completions=4, successPolicy={"rules": rules}) == [
        "spec.successPolicy.rules[0].succeededCount: Invalid value: 4: must be less than or equal to 3 "
        "(the number of indexes in the specified succeededIndexes field)",
        'spec.successPolicy.rules[1].succeededIndexes: Invalid value: "3-2": '
        "error parsing succeededIndexes: non-increasing order, previous: 3, current: 2",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("1-2-3", 'the fragment "1-2-3" violates the requirement that an index interval can have at most two parts'),
        ("x", 'cannot convert string to integer for index: "x"'),
        ("9", 'too large index: "9"'),
        ("1,1", "non-increasing order, previous: 1, current: 1"),
    ],
)
def test_indexes_are_intervals_in_order(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=re.escape(fault)):
        count_indexes(text, 9)


def test_completions_of_an_indexed_job_follow_its_parallelism() -> None:
    old = job(completionMode="Indexed")
    assert on_update(old, job(completionMode="Indexed", completions=3, parallelism=3)) == []
    assert on_update(old, job(completionMode="Indexed", completions=3)) == [
        "spec.completions: Invalid value: 3: can only be modified in tandem with spec.parallelism"
    ]


def template(
    container: dict[str, Any] | None = None, labels: dict[str, str] | None = None, **spec: Any
) -> dict[str, Any]:
    """The jobs' template with changes."""
    base: dict[str, Any] = dict(TEMPLATE["spec"])
    changed = {**base, "containers": [{**CONTAINER, **(container or {})}], **spec}
    return {"metadata": {"labels": {"a": "b", **(labels or {})}}, "spec": changed}


PLACED = template(
    labels={"c": "d"},
    nodeSelector={"a": "b"},
    tolerations=[{"key": "k", "operator": "Exists", "effect": "NoSchedule"}],
    affinity={"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    schedulingGates=[{"name": "g"}],
)
SIZED = template({"resources": {"requests": {"cpu": "1"}}})
BEGUN = {"startTime": "2026-01-01T00:00:00Z"}
SUSPENDED = {**BEGUN, "conditions": true("Suspended")}


@pytest.mark.parametrize("changed", [PLACED, SIZED], ids=["scheduling", "resources"])
@pytest.mark.parametrize(
    ("suspend", "status", "faults"),
    [
        (True, {}, 0),
        (True, SUSPENDED, 0),
        (True, BEGUN, 1),
        (True, {**SUSPENDED, "active": 1}, 1),
        (False, {}, 1),
        (False, SUSPENDED, 1),
    ],
)
def test_the_template_of_a_suspended_job_without_pods_may_change(
    suspend: bool, status: dict[str, Any], changed: dict[str, Any], faults: int
) -> None:
    assert len(on_update(job(status, suspend=suspend), job(status, suspend=suspend, template=changed))) == faults


@pytest.mark.parametrize(
    "changed",
    [
        template({"image": "j"}),
        template({"name": "d"}),
        template(containers=[CONTAINER, {**CONTAINER, "name": "d"}]),
        template(affinity={"podAffinity": {}}),
        template(restartPolicy="OnFailure"),
        template(resources={"requests": {"cpu": "1"}}),
    ],
)
def test_the_rest_of_a_suspended_jobs_template_stays(changed: dict[str, Any]) -> None:
    [fault] = on_update(job(suspend=True), job(suspend=True, template=changed))
    assert fault.startswith("spec.template.spec: Invalid value: {")
    assert fault.endswith("field is immutable")


def test_an_affinity_of_nodes_alone_may_go() -> None:
    assert on_update(job(suspend=True, template=PLACED), job(suspend=True, template=TEMPLATE)) == []
    mixed = template(affinity={"nodeAffinity": {}, "podAffinity": {}})
    assert len(on_update(job(suspend=True, template=mixed), job(suspend=True, template=TEMPLATE))) == 1


@pytest.mark.parametrize(
    ("gates", "changed", "status", "faults"),
    [
        ({"MutablePodResourcesForSuspendedJobs": False}, SIZED, {}, 1),
        ({"MutablePodResourcesForSuspendedJobs": False}, PLACED, SUSPENDED, 0),
        ({"MutableSchedulingDirectivesForSuspendedJobs": False}, PLACED, {}, 0),
        ({"MutableSchedulingDirectivesForSuspendedJobs": False}, PLACED, SUSPENDED, 1),
        ({"MutableSchedulingDirectivesForSuspendedJobs": False}, SIZED, SUSPENDED, 0),
    ],
)
def test_gates_say_what_of_a_suspended_job_may_change(
    gates: dict[str, bool], changed: dict[str, Any], status: dict[str, Any], faults: int
) -> None:
    feature_gates.use(gates)
    try:
        assert len(on_update(job(status, suspend=True), job(status, suspend=True, template=changed))) == faults
    finally:
        feature_gates.use({})


def conditions(**statuses: str) -> list[dict[str, str]]:
    return [{"type": kind, "status": status} for kind, status in statuses.items()]


LATER = "2026-01-02T00:00:00Z"
IMMUTABLE_START = "field is immutable for unsuspended job once set"


@pytest.mark.parametrize(
    ("old", "new", "suspend", "faults"),
    [
        (conditions(Suspended="True"), conditions(Suspended="False"), False, []),
        (conditions(Suspended="True"), conditions(Suspended="False"), True, []),
        (conditions(Suspended="True"), conditions(Suspended="True"), True, []),
        (
            conditions(Suspended="True"),
            conditions(Suspended="True"),
            False,
            [f'status.startTime: Invalid value: "{LATER}": {IMMUTABLE_START}'],
        ),
        ([], conditions(Suspended="False"), False, [f'status.startTime: Invalid value: "{LATER}": {IMMUTABLE_START}']),
        ([], [], False, [f'status.startTime: Invalid value: "{LATER}": {IMMUTABLE_START}']),
    ],
)
def test_a_resumed_job_starts_anew(old: Any, new: Any, suspend: bool, faults: list[str]) -> None:
    before = {**BEGUN, "conditions": old}
    assert status(before, {"startTime": LATER, "conditions": new}, suspend=suspend) == faults


def test_the_start_of_a_running_job_stays() -> None:
    assert status(BEGUN, {}) == [f"status.startTime: Invalid value: null: {IMMUTABLE_START}"]
    assert status({}, BEGUN) == []
    resumed = {"conditions": conditions(Suspended="False")}
    assert status({**BEGUN, "conditions": true("Suspended")}, resumed) == []


def test_a_job_that_has_nothing_to_do_ends_without_a_start() -> None:
    ended = {"conditions": true("Complete", "SuccessCriteriaMet"), "completionTime": LATER}
    assert status({}, ended, suspend=True, completions=0) == []
    assert status({}, ended, suspend=True) == [
        "status.startTime: Required value: startTime is required for finished job"
    ]


def test_the_counter_of_an_elastic_indexed_job_may_shrink() -> None:
    assert status({"succeeded": 2}, {"succeeded": 1}, completionMode="Indexed") == []
    assert len(status({"succeeded": 2}, {"succeeded": 1})) == 1
    assert len(status({"failed": 2}, {"failed": 1}, completionMode="Indexed")) == 1


def test_a_job_completes_with_all_that_belongs_to_it() -> None:
    assert status({}, {"conditions": true("Complete"), "active": 1}) == [
        "status.completionTime: Required value: completionTime is required for Complete jobs",
        "status.conditions: Invalid value: "
        "cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
        "status.active: Invalid value: 1: active>0 is invalid for finished job",
        "status.startTime: Required value: startTime is required for finished job",
    ]
    done = {
        "conditions": true("SuccessCriteriaMet", "Complete"),
        "startTime": "2026-01-01T00:00:00Z",
        "completionTime": "2026-01-01T00:00:01Z",
        "succeeded": 1,
    }
    assert status({}, done) == []
    assert status(done, {**done, "conditions": true("SuccessCriteriaMet")}) == [
        'status.completionTime: Invalid value: "2026-01-01T00:00:01Z": '
        "cannot set completionTime when there is no Complete=True condition",
        "status.conditions: Invalid value: cannot disable the terminal Complete=True condition",
    ]


def test_what_was_written_before_the_rules_stays() -> None:
    old = {"conditions": true("Failed")}
    assert status(old, {**old, "failed": 1}) == []


def test_counters_do_not_go_back() -> None:
    assert status({"failed": 2, "succeeded": 2}, {"failed": 1, "succeeded": 1}, completions=3) == [
        "status.failed: Invalid value: 1: cannot decrease the failed counter",
        "status.succeeded: Invalid value: 1: cannot decrease the succeeded counter",
    ]


def test_an_index_is_completed_or_failed() -> None:
    new = {"completedIndexes": "0-2", "failedIndexes": "2"}
    assert status({}, new, completionMode="Indexed", completions=4, backoffLimitPerIndex=1) == [
        'status.failedIndexes: Invalid value: "2": failedIndexes and completedIndexes overlap at index: 2'
    ]


def cron(name: str = "c", **spec: Any) -> dict[str, Any]:
    return {
        "kind": "CronJob",
        "metadata": {"name": name, "namespace": "n", "resourceVersion": "1"},
        "spec": {
            "schedule": "* * * * *",
            "concurrencyPolicy": "Allow",
            "jobTemplate": {"spec": {"template": TEMPLATE}},
            **spec,
        },
    }


def test_a_cron_job_leaves_room_for_the_time_when_it_is_new() -> None:
    long = cron("c" * 53)
    assert listed(validate_create(INFOS["CronJob"], long)) == [
        f'metadata.name: Invalid value: "{"c" * 53}": must be no more than 52 characters'
    ]
    assert validate_update(INFOS["CronJob"], long, long) == []


def test_a_zone_in_an_old_schedule_may_stay() -> None:
    schedule = "TZ=UTC * * * * *"
    assert listed(validate_create(INFOS["CronJob"], cron(schedule=schedule))) == [
        f'spec.schedule: Invalid value: "{schedule}": cannot use TZ or CRON_TZ in schedule, use timeZone field instead'
    ]
    assert validate_update(INFOS["CronJob"], cron(schedule=schedule), cron(schedule=schedule)) == []


@pytest.mark.parametrize(("zone", "faults"), [("../UTC", 1), ("Nowhere/There", 1), ("local", 2), ("Europe/Berlin", 0)])
def test_a_time_zone_is_one_of_the_known_ones(zone: str, faults: int) -> None:
    assert len(validate_create(INFOS["CronJob"], cron(timeZone=zone))) == faults
