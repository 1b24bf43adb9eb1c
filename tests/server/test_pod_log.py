"""The query of a pod's log."""

from __future__ import annotations

import pytest
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.server.endpoints.pod_log import check_log_options
from apiserver_workers.server.http.query import parse_query


@pytest.mark.parametrize("query", ["", "tailLines=0&limitBytes=1&sinceSeconds=1", "sinceTime=2020-01-01T00:00:00Z"])
def test_what_may_be_asked(query: str) -> None:
    check_log_options(parse_query(query), "p")


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("tailLines=-1&limitBytes=0&sinceSeconds=0", ["tailLines", "limitBytes", "sinceSeconds"]),
        ("sinceSeconds=5&sinceTime=2020-01-01T00:00:00Z", ["[]"]),
        ("stream=Stdout", ["stream"]),
    ],
)
def test_all_faults_are_told(query: str, fields: list[str]) -> None:
    with pytest.raises(ApiError) as caught:
        check_log_options(parse_query(query), "p")
    assert caught.value.code == 422 and caught.value.details is not None
    assert [cause["field"] for cause in caught.value.details["causes"]] == fields
