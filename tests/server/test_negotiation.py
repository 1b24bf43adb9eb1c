"""Accept headers: which representation is sent."""

from __future__ import annotations

import pytest
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.server.endpoints.negotiation import JSON, TABLE, YAML, Output, negotiate

AS_TABLE = f"{JSON};as=Table;g=meta.k8s.io;v=v1"
AS_METADATA = f"{JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


@pytest.mark.parametrize(
    ("accept", "output"),
    [
        ("", Output()),
        (JSON, Output()),
        (f"{AS_TABLE},{JSON}", Output()),
        (f"{AS_TABLE},{YAML}", Output(YAML)),
        (f"{AS_TABLE},*/*", Output()),
        (AS_METADATA, Output(JSON, "PartialObjectMetadata", "v1")),
    ],
)
def test_a_kind_without_a_table(accept: str, output: Output) -> None:
    assert negotiate(accept, tables=False) == output


@pytest.mark.parametrize("accept", [AS_TABLE, AS_TABLE.replace("v1", "v1beta1"), f"{YAML};as=Table;g=meta.k8s.io;v=v1"])
def test_a_table_of_a_kind_without_one_is_not_acceptable(accept: str) -> None:
    assert negotiate(accept).transform == TABLE
    with pytest.raises(ApiError) as refused:
        negotiate(accept, tables=False)
    assert refused.value.code == 406
    assert refused.value.message.startswith("only the following media types are accepted: application/json, ")
