"""A built-in resource is one entry of data: a made-up one is added and used like any other."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apiserver_workers.apimachinery import resources

from tests.running import RunningServer

pytestmark = pytest.mark.e2e
KUBECTL = shutil.which("kubectl", path=str(Path(sys.executable).parent)) or shutil.which("kubectl")
CONTRIBUTING = Path(__file__).parent.parent.parent / "docs" / "contributing.md"
# The server of this project on other data.
LAUNCHER = """\
import sys
from pathlib import Path
from apiserver_workers.apimachinery import resources
resources.DATA = Path({data!r})
from apiserver_supervisor.cli import main
sys.argv[0] = "apiserver-supervisor"
main()
"""
WIDGETS = "/apis/example.k8s.io/v1/namespaces/default/widgets"


def documented_entry() -> dict[str, Any]:
    """The entry that docs/contributing.md adds: the lines of its diff that begin with a plus."""
    diff = CONTRIBUTING.read_text().partition("```diff\n")[2].partition("```")[0]
    added = [line[1:] for line in diff.splitlines() if line.startswith("+") and not line.startswith("+++")]
    entry: dict[str, Any] = json.loads("\n".join(added).strip().rstrip(","))
    return entry


@pytest.fixture(scope="module")
def widgets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose data has one entry more."""
    folder = tmp_path_factory.mktemp("widgets")
    data = shutil.copytree(resources.DATA, folder / "facts")
    entries = json.loads((data / "resources.json").read_text())
    (data / "resources.json").write_text(json.dumps([*entries, documented_entry()]))
    launcher = folder / "launcher.py"
    launcher.write_text(LAUNCHER.format(data=str(data)))
    with RunningServer(
        folder, command=(sys.executable, str(launcher)), PYTHONPATH=str(CONTRIBUTING.parent.parent)
    ) as it:
        yield it


def kubectl(server: RunningServer, *arguments: str, stdin: str = "") -> str:
    if KUBECTL is None:
        pytest.skip("no kubectl")
    command = [KUBECTL, f"--kubeconfig={server.kubeconfig}", f"--cache-dir={server.data_dir}/cache", *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def widget(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "example.k8s.io/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}


def test_objects_are_created_read_changed_and_deleted(widgets: RunningServer) -> None:
    status, body = widgets.request(
        "POST", WIDGETS, {**widget("crud", size=3, parts=[{"name": "a"}]), "status": {"ready": True}}
    )
    assert status == 201, body
    created = json.loads(body)
    assert created["spec"] == {"size": 3, "parts": [{"name": "a"}]}
    assert created["metadata"]["uid"]
    assert created["status"] == {}, "what a client says of the status does not count"
    created["status"] = {"ready": True}
    status, body = widgets.request("PUT", f"{WIDGETS}/crud/status", created)
    assert (status, json.loads(body)["status"]) == (200, {"ready": True})
    status, body = widgets.request("GET", f"{WIDGETS}?labelSelector=a%3Db")
    assert json.loads(body)["items"] == []
    status, body = widgets.request("GET", "/apis/example.k8s.io/v1/widgets")
    assert (json.loads(body)["kind"], len(json.loads(body)["items"])) == ("WidgetList", 1)
    assert widgets.request("DELETE", f"{WIDGETS}/crud")[0] == 200


def test_unknown_fields_are_known_as_such(widgets: RunningServer) -> None:
    status, body = widgets.request("POST", f"{WIDGETS}?fieldValidation=Strict", widget("bad", colour="red"))
    assert (status, json.loads(body)["message"]) == (
        400,
        'Widget in version "v1" cannot be handled as a Widget: strict decoding error: unknown field "spec.colour"',
    )
    status, body = widgets.request("POST", WIDGETS, widget("bad", size="three"))
    assert status == 400


def test_it_is_applied_watched_and_shown_as_a_table(widgets: RunningServer) -> None:
    manifest = json.dumps(widget("shown", size=7))
    kubectl(widgets, "apply", "--server-side", "-f", "-", stdin=manifest)
    header, row = kubectl(widgets, "get", "wd").splitlines()
    assert header.split() == ["NAME", "SIZE", "AGE"]
    assert row.split()[:2] == ["shown", "7"]
    _, body = widgets.request("GET", f"{WIDGETS}?watch=1&timeoutSeconds=1")
    events = [json.loads(line) for line in body.splitlines()]
    assert [(event["type"], event["object"]["metadata"]["name"]) for event in events] == [("ADDED", "shown")]
    parts = json.dumps({"spec": {"parts": [{"name": "a", "count": 1}]}})
    kubectl(widgets, "patch", "widget", "shown", "--type=strategic", f"--patch={parts}")
    more = json.dumps({"spec": {"parts": [{"name": "b", "count": 2}]}})
    kubectl(widgets, "patch", "widget", "shown", "--type=strategic", f"--patch={more}")
    spec = json.loads(kubectl(widgets, "get", "widget", "shown", "-o", "json"))["spec"]
    assert {part["name"]: part["count"] for part in spec["parts"]} == {"a": 1, "b": 2}
    kubectl(widgets, "delete", "widgets", "--all")


def test_it_is_discovered_and_explained(widgets: RunningServer) -> None:
    line = next(line for line in kubectl(widgets, "api-resources").splitlines() if line.startswith("widgets "))
    assert line.split() == ["widgets", "wd", "example.k8s.io/v1", "true", "Widget"]
    explained = kubectl(widgets, "explain", "widgets.spec.parts")
    assert "How many of them" in explained
    assert "GROUP:      example.k8s.io" in explained
    assert "v1.example.k8s.io" in kubectl(widgets, "get", "apiservices")
    _, body = widgets.request("GET", "/openapi/v2")
    assert "io.k8s.example.v1.Widget" in json.loads(body)["definitions"]


def test_protobuf_is_refused_for_a_kind_that_has_no_numbers(widgets: RunningServer) -> None:
    protobuf = "application/vnd.kubernetes.protobuf"
    assert widgets.request("GET", WIDGETS, Accept=protobuf)[0] == 406
    status, body = widgets.request("GET", WIDGETS, Accept=f"{protobuf},application/json")
    assert (status, json.loads(body)["kind"]) == (200, "WidgetList")
    status, body = widgets.request("POST", WIDGETS, widget("p"), Content_Type=protobuf)
    assert (status, json.loads(body)["reason"]) == (415, "UnsupportedMediaType")
    metadata = f"{protobuf};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    status, body = widgets.request("GET", WIDGETS, Accept=metadata)
    assert (status, body[:4]) == (200, b"k8s\0")
