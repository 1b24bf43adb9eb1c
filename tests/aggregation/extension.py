"""An extension API server for the tests, as a process of its own: `python -m tests.aggregation.extension SETTINGS.json`.

It serves flunders (wardle.example.com/v1) with discovery, OpenAPI, watches and an upgrade that echoes, and the metrics of
nodes and pods (metrics.k8s.io/v1beta1). As real ones do, it takes who asks from the headers of a proxy whose certificate
the ConfigMap extension-apiserver-authentication names, and asks the API server whether that is allowed.
`/mode` and `/seen` are for the tests: how it misbehaves, and what it was asked.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
import time
import urllib.request
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Object = dict[str, Any]

GROUP, VERSION = "wardle.example.com", "v1"
METRICS, METRICS_VERSION = "metrics.k8s.io", "v1beta1"
AGGREGATED = "apidiscovery.k8s.io"
VERBS = ["create", "delete", "get", "list", "watch"]
HUGE = 100 << 20

FLUNDER = {
    "type": "object",
    "description": "Flunder is a fish of the tests.",
    "properties": {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"},
        "spec": {"type": "object", "properties": {"size": {"type": "integer", "description": "How long it is."}}},
    },
    "x-kubernetes-group-version-kind": [{"group": GROUP, "version": VERSION, "kind": "Flunder"}],
}
# Another ObjectMeta than the API server's, so that merging has to rename it.
OBJECT_META = {"type": "object", "description": "Metadata of flunders.", "properties": {"name": {"type": "string"}}}


def openapi_v2() -> Object:
    name = "com.example.wardle.v1.Flunder"
    root = f"/apis/{GROUP}/{VERSION}/namespaces/{{namespace}}/flunders"
    body = {"name": "body", "in": "body", "required": True, "schema": {"$ref": f"#/definitions/{name}"}}
    answer = {"200": {"description": "OK", "schema": {"$ref": f"#/definitions/{name}"}}}
    action: Object = {"x-kubernetes-group-version-kind": FLUNDER["x-kubernetes-group-version-kind"][0]}
    post = {
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "parameters": [body],
        "responses": answer,
    }
    return {
        "swagger": "2.0",
        "info": {"title": "Wardle", "version": "v1"},
        "paths": {root: {"post": {**post, **action, "x-kubernetes-action": "post", "operationId": "createFlunder"}}},
        "definitions": {name: FLUNDER, "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": OBJECT_META},
    }


def openapi_v3() -> Object:
    text = json.dumps(openapi_v2()).replace("#/definitions/", "#/components/schemas/")
    document = json.loads(text)
    post = next(iter(document["paths"].values()))["post"]
    schema = {"schema": post["parameters"][0]["schema"]}
    post.update(requestBody={"content": {"application/json": schema}}, responses={"200": {"description": "OK"}})
    for field in ("parameters", "consumes", "produces"):
        del post[field]
    info, paths = document["info"], document["paths"]
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": document["definitions"]}}


def resources() -> dict[tuple[str, str], list[Object]]:
    flunders = {"name": "flunders", "singularName": "flunder", "namespaced": True, "kind": "Flunder", "verbs": VERBS}
    echo = {"name": "flunders/echo", "singularName": "", "namespaced": True, "kind": "Flunder", "verbs": ["get"]}
    nodes = {"name": "nodes", "singularName": "", "namespaced": False, "kind": "NodeMetrics", "verbs": ["get", "list"]}
    pods = {"name": "pods", "singularName": "", "namespaced": True, "kind": "PodMetrics", "verbs": ["get", "list"]}
    return {(GROUP, VERSION): [{**flunders, "shortNames": ["fl"]}, echo], (METRICS, METRICS_VERSION): [nodes, pods]}


def aggregated() -> Object:
    items = []
    for (group, version), listed in resources().items():
        shown = [
            {
                "resource": one["name"],
                "responseKind": {"group": "", "version": "", "kind": one["kind"]},
                "scope": "Namespaced" if one["namespaced"] else "Cluster",
                "singularResource": one["singularName"],
                "verbs": one["verbs"],
                "shortNames": one.get("shortNames", []),
            }
            for one in listed
            if "/" not in one["name"]
        ]
        versions = [{"version": version, "resources": shown, "freshness": "Current"}]
        items.append({"metadata": {"name": group}, "versions": versions})
    return {"kind": "APIGroupDiscoveryList", "apiVersion": f"{AGGREGATED}/v2", "metadata": {}, "items": items}


class Extension:
    """The server's state and its own client of the API server."""

    def __init__(self, settings: Object) -> None:
        self.settings = settings
        self.mode = settings.get("mode", "")
        self.legacy: bool = settings.get("legacy", False)
        self.seen: deque[Object] = deque(maxlen=200)
        self.flunders: dict[tuple[str, str], Object] = {}
        self.events: list[Object] = []
        self.changed = threading.Condition()
        self._client = ssl.create_default_context(cafile=settings["server_ca"])
        self._client.load_cert_chain(settings["client_cert"], settings["client_key"])

    def ask(self, method: str, path: str, body: Object | None = None) -> Object:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.settings["server"] + path, data, headers, method=method)
        with urllib.request.urlopen(request, context=self._client, timeout=10) as answer:
            found: Object = json.loads(answer.read())
            return found

    def authority(self) -> str:
        """Whose certificates may speak for others."""
        found = self.ask("GET", "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication")
        return str(found["data"]["requestheader-client-ca-file"])

    def allowed(self, user: str, groups: list[str], attributes: Object) -> bool:
        spec = {"user": user, "groups": groups, "resourceAttributes": attributes}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        answer = self.ask("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        return bool(answer["status"]["allowed"])

    def event(self, kind: str, flunder: Object) -> None:
        with self.changed:
            self.events.append({"type": kind, "object": flunder})
            self.changed.notify_all()


def handler(extension: Extension) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: Any) -> None:
            pass

        def do(self) -> None:
            parts = urlsplit(self.path)
            path = parts.path
            if path == "/mode":
                extension.mode = self.body().decode()
                return self.json(200, {})
            if path == "/seen":
                return self.json(200, list(extension.seen))
            headers = {name.lower(): self.headers.get_all(name) for name in self.headers}
            certificate = self.connection.getpeercert() or {}
            extension.seen.append({"method": self.command, "path": self.path, "headers": headers, "by": certificate})
            if not certificate:
                return self.status(401, "Unauthorized", "no certificate of a proxy")
            if extension.mode and self.misbehave(extension.mode):
                return None
            return self.serve(path, parse_qs(parts.query))

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do

        def body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") == "chunked":
                pieces = []
                while size := int(self.rfile.readline(), 16):
                    pieces.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(pieces)
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def misbehave(self, mode: str) -> bool:
            if mode == "hang":
                time.sleep(30)
                self.close_connection = True
            elif mode == "garbage":
                self.wfile.write(b"\x00\xff garbage\r\n\r\n")
                self.close_connection = True
            elif mode == "nonsense":
                self.json(200, {"items": 7, "resources": "x"}, aggregated=True)
            elif mode == "huge":
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(HUGE))
                self.end_headers()
                self.close_connection = True
                for _ in range(HUGE >> 20):
                    self.wfile.write(b" " * (1 << 20))
            elif mode == "redirect":
                self.send_response(302)
                self.send_header("Location", "http://169.254.169.254/latest/meta-data/")
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif mode == "cut":
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b'{"kind":')
                self.close_connection = True
            else:
                return False
            return True

        def json(self, status: int, obj: Any, *, aggregated: bool = False) -> None:
            body = json.dumps(obj).encode()
            self.send_response(status)
            form = f";g={AGGREGATED};v=v2;as=APIGroupDiscoveryList" if aggregated else ""
            self.send_header("Content-Type", "application/json" + form)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def status(self, code: int, reason: str, message: str) -> None:
            head = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
            self.json(code, {**head, "reason": reason, "message": message, "code": code})

        def serve(self, path: str, query: dict[str, list[str]]) -> None:
            parts = path.strip("/").split("/")
            if path == "/apis" and not extension.legacy:
                return self.json(200, aggregated(), aggregated=True)
            if path == "/openapi/v2":
                return self.json(200, openapi_v2())
            if path == "/openapi/v3" and not extension.legacy:
                url = f"/openapi/v3/apis/{GROUP}/{VERSION}?hash=ABC"
                return self.json(200, {"paths": {f"apis/{GROUP}/{VERSION}": {"serverRelativeURL": url}}})
            if path == f"/openapi/v3/apis/{GROUP}/{VERSION}" and not extension.legacy:
                return self.json(200, openapi_v3())
            listed = resources().get((parts[1], parts[2])) if len(parts) >= 3 else None
            if parts[0] != "apis" or listed is None:
                return self.status(404, "NotFound", "the server could not find the requested resource")
            if len(parts) == 3:
                group_version = "/".join(parts[1:])
                document = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version}
                return self.json(200, {**document, "resources": listed})
            return self.resource(parts[1], parts[2], parts[3:], query)

        def resource(self, group: str, version: str, parts: list[str], query: dict[str, list[str]]) -> None:
            namespace = ""
            if parts[0] == "namespaces" and len(parts) > 2:
                namespace, parts = parts[1], parts[2:]
            name = parts[1] if len(parts) > 1 else ""
            verb = {"POST": "create", "DELETE": "delete"}.get(self.command, "get" if name else "list")
            user = (self.headers.get_all("X-Remote-User") or [""])[0]
            groups = self.headers.get_all("X-Remote-Group") or []
            attributes = {"group": group, "resource": parts[0], "namespace": namespace, "name": name, "verb": verb}
            if not extension.allowed(user, groups, attributes):
                return self.status(403, "Forbidden", f"{user} may not {verb} {parts[0]}")
            if group == METRICS:
                return self.metrics(parts[0], namespace)
            if len(parts) > 2 and parts[2] == "echo":
                return self.echo()
            if verb == "list" and query.get("watch"):
                return self.watch(namespace)
            return self.flunders(verb, namespace, name)

        def metrics(self, resource: str, namespace: str) -> None:
            usage = {"cpu": "250m", "memory": "64Mi"}
            common = {"timestamp": "2026-01-01T00:00:00Z", "window": "10s"}
            if resource == "nodes":
                items: list[Object] = [{"metadata": {"name": "node-1"}, **common, "usage": usage}]
            else:
                metadata = {"name": "pod-1", "namespace": namespace or "default"}
                items = [{"metadata": metadata, **common, "containers": [{"name": "c", "usage": usage}]}]
            kind = "NodeMetricsList" if resource == "nodes" else "PodMetricsList"
            self.json(200, {"kind": kind, "apiVersion": f"{METRICS}/{METRICS_VERSION}", "metadata": {}, "items": items})

        def flunders(self, verb: str, namespace: str, name: str) -> None:
            api_version = f"{GROUP}/{VERSION}"
            if verb == "create":
                given = json.loads(self.body())
                metadata = {**given["metadata"], "namespace": namespace, "uid": "1", "resourceVersion": "1"}
                made = {**given, "metadata": metadata}
                extension.flunders[namespace, metadata["name"]] = made
                extension.event("ADDED", made)
                return self.json(201, made)
            if verb == "list":
                items = [one for (where, _), one in extension.flunders.items() if namespace in ("", where)]
                head = {"kind": "FlunderList", "apiVersion": api_version, "metadata": {"resourceVersion": "1"}}
                return self.json(200, {**head, "items": items})
            found = extension.flunders.get((namespace, name))
            if found is None:
                return self.status(404, "NotFound", f'flunders.{GROUP} "{name}" not found')
            if verb == "delete":
                del extension.flunders[namespace, name]
                extension.event("DELETED", found)
            return self.json(200, found)

        def watch(self, namespace: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            position = 0
            while True:
                with extension.changed:
                    extension.changed.wait_for(lambda: len(extension.events) > position, 0.5)  # noqa: B023
                    events = extension.events[position:]
                    position += len(events)
                for event in events:
                    line = json.dumps(event).encode() + b"\n"
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))

        def echo(self) -> None:
            self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
            self.close_connection = True
            while data := self.connection.recv(65536):
                self.connection.sendall(data)

    return Handler


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        return self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address  # type: ignore[attr-defined]


def main(settings: Object) -> None:
    extension = Extension(settings)
    server = Server(("127.0.0.1", settings["port"]), handler(extension))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings["cert"], settings["key"])
    context.load_verify_locations(cadata=extension.authority())
    context.verify_mode = ssl.CERT_OPTIONAL
    server.tls = context  # type: ignore[attr-defined]
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
