"""Requests to a running server as whoever one likes: by token, password, certificate, or nobody."""

from __future__ import annotations

import base64
import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.running import RunningServer

SELF = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def obj(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return self.obj["message"]


def ask(
    server: RunningServer,
    path: str,
    body: Any = None,
    *,
    method: str = "",
    token: str = "",
    password: tuple[str, str] | None = None,
    pair: tuple[Path, Path] | None = None,
    **headers: str,
) -> Answer:
    """One request; keywords are further headers, underscores for dashes."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        given["Authorization"] = f"Bearer {token}"
    if password:
        given["Authorization"] = "Basic " + base64.b64encode(":".join(password).encode()).decode()
    data = None
    if body is not None:
        data = json.dumps(body).encode()
        given.setdefault("Content-Type", "application/json")
    context = ssl.create_default_context(cafile=str(server.data_dir / "pki" / "ca.crt"))
    if pair:
        context.load_cert_chain(*pair)
    asked = urllib.request.Request(server.url + path, data, given, method=method or ("POST" if data else "GET"))
    try:
        with urllib.request.urlopen(asked, timeout=15, context=context) as answer:
            return Answer(answer.status, dict(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, dict(error.headers), error.read())


def pair_of(server: RunningServer, name: str) -> tuple[Path, Path]:
    """Certificate and key that the server has made: admin, or front-proxy-client."""
    return server.data_dir / "pki" / f"{name}.crt", server.data_dir / "pki" / f"{name}.key"


def whoami(server: RunningServer, **credentials: Any) -> Any:
    """Who the server takes us for; the whole answer's status object if it does not let us in."""
    review = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}
    answer = ask(server, SELF, review, **credentials)
    return answer.obj["status"]["userInfo"] if answer.status == 201 else answer.obj
