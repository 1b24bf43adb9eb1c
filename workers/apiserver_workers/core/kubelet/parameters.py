"""What the name and the query of a request to a pod, service or node say, and what a kubelet calls it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apiserver_workers.apimachinery.errors import bad_request
from apiserver_workers.server.endpoints.query import flag, integer, text

Object = dict[str, Any]
Query = dict[str, list[str]]

MAX_DIGITS = 18  # of a port number; more cannot be one
SCHEMES = ("", "http", "https")
# The options of streams, and what kubelets call them.
STREAMS = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}
CHANNELS = {"stdin": 0, "stdout": 1, "stderr": 2}
ERROR_CHANNEL, RESIZE_CHANNEL = 3, 4
LOG_FLAGS = ("follow", "previous", "timestamps")
LOG_NUMBERS = ("sinceSeconds", "tailLines", "limitBytes")


def split_identifier(kind: str, identifier: str) -> tuple[str, str, str]:
    """Scheme, name and port of `name`, `name:port` or `scheme:name:port`. Raises ApiError 400."""
    parts = identifier.split(":")
    name = parts[1] if len(parts) == 3 else parts[0]
    scheme = parts[0] if len(parts) == 3 else ""
    port = parts[-1] if len(parts) > 1 else ""
    if len(parts) > 3 or not name or scheme not in SCHEMES:
        raise bad_request(f'invalid {kind} request "{identifier}"')
    return scheme, name, port


def port_number(port: str) -> int | None:
    """The number that a port is, None for a name."""
    return int(port) if port.isascii() and port.isdigit() and len(port) <= MAX_DIGITS else None


def container_of(pod: Object, asked: str) -> str:
    """The container that a request means. Raises ApiError 400 when it is not clear or not there."""
    name, spec = pod["metadata"]["name"], pod["spec"]
    main = spec.get("containers") or []
    everything = [*(spec.get("initContainers") or ()), *main, *(spec.get("ephemeralContainers") or ())]
    names = [container["name"] for container in everything]
    if asked:
        if asked not in names:
            raise bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    if len(main) == 1:
        return str(main[0]["name"])
    raise bad_request(f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]")


def log_parameters(query: Query) -> Iterator[tuple[str, str]]:
    """The options of a log as its kubelet takes them. Raises ApiError 400 for what is no number."""
    for name in LOG_FLAGS:
        if flag(query, name):
            yield name, "true"
    for name in LOG_NUMBERS:
        if (number := integer(query, name)) is not None:
            yield name, str(number)
    if since := text(query, "sinceTime"):
        yield "sinceTime", since


def stream_parameters(action: str, query: Query) -> Iterator[tuple[str, str]]:
    """The options of exec, attach or portforward as the kubelet takes them."""
    if action == "portforward":
        if ports := query.get("ports"):
            yield "port", ",".join(ports)
        return
    for name, parameter in STREAMS.items():
        if flag(query, name):
            yield parameter, "1"
    if action == "exec":
        for word in query.get("command") or ():
            yield "command", word


def channels_of(query: Query) -> set[int]:
    """The channels of an exec or attach, by their numbers in a WebSocket: a terminal has no stderr but a size."""
    terminal = flag(query, "tty")
    wanted = {ERROR_CHANNEL} | {number for name, number in CHANNELS.items() if flag(query, name)}
    return (wanted - {CHANNELS["stderr"]}) | {RESIZE_CHANNEL} if terminal else wanted
