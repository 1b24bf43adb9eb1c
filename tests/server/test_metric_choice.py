"""Which metrics are shown, and with which values of their labels."""

from __future__ import annotations

from apiserver_workers.server.metric_choice import MetricChoice

FAMILIES = [
    {
        "name": "a_total",
        "samples": [("", [("verb", "GET"), ("code", "200")], 1.0), ("", [("verb", "X"), ("code", "200")], 2.0)],
    },
    {"name": "b_total", "samples": [("", [], 5.0)]},
]


def test_disabled_metrics_are_left_out() -> None:
    assert [family["name"] for family in MetricChoice(disabled=["a_total"]).of(FAMILIES)] == ["b_total"]


def test_other_values_than_those_allowed_are_counted_together() -> None:
    shown = list(MetricChoice(labels=["a_total,verb=LIST,WATCH"]).of(FAMILIES))
    assert shown[0]["samples"] == [("", [("verb", "unexpected"), ("code", "200")], 3.0)]
    assert shown[1] is FAMILIES[1]


def test_without_a_choice_everything_is_shown() -> None:
    assert list(MetricChoice().of(FAMILIES)) == FAMILIES
