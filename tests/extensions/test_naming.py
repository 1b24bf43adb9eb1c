"""Names of definitions: accepted, in conflict, and taken over when the holder goes."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver_workers.extensions.controllers.naming import naming_status

NAMES = {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}


def one(names: dict[str, Any], accepted: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"spec": {"names": names}, "status": {"acceptedNames": accepted or {}}}


def told(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {held["type"]: (held["status"], held["reason"]) for held in status["conditions"]}


def test_free_names_are_accepted_and_the_definition_is_installed_next():
    status = naming_status(one(NAMES), [])
    assert status is not None
    assert status["acceptedNames"] == NAMES
    assert told(status) == {"NamesAccepted": ("True", "NoConflicts"), "Established": ("False", "Installing")}
    assert naming_status({"spec": {"names": NAMES}, "status": status}, []) is None


@pytest.mark.parametrize(
    ("taken", "reason"),
    [
        ({"plural": "widgets"}, "PluralConflict"),
        ({"shortNames": ["widget"]}, "SingularConflict"),
        ({"kind": "Widget"}, "KindConflict"),
        ({"kind": "WidgetList"}, "ListKindConflict"),
    ],
)
def test_a_name_in_use_is_a_conflict(taken, reason):
    status = naming_status(one(NAMES), [one({}, taken)])
    assert status is not None
    assert told(status) == {"NamesAccepted": ("False", reason), "Established": ("False", "NotAccepted")}
