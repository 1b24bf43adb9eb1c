"""Asking a master: one line of JSON asks, one line answers. Only the owner of the run folder can connect."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from apiserver_supervisor.run_folder import CONTROL

_LONGEST = 65536
_ATTEMPTS = 3


class NotRunning(Exception):
    """No master answers in that run folder."""


class ControlError(Exception):
    """The master refused a request; the message says why."""


def request(run_dir: Path, command: str, timeout: float = 30.0, **arguments: Any) -> Any:
    """Ask the master of `run_dir`; its answer. Raises NotRunning, ControlError."""
    question = json.dumps({"command": command, **arguments}).encode() + b"\n"
    line = b""
    for _ in range(_ATTEMPTS):
        try:
            line = _ask(run_dir, question, timeout)
        except TimeoutError as error:
            raise ControlError(f"the server in {run_dir} does not answer within {timeout:.0f} s") from error
        except (ConnectionResetError, BrokenPipeError):
            continue
        except PermissionError as error:
            raise ControlError(f"{run_dir} belongs to another user: {error.strerror}") from error
        except OSError as error:
            raise NotRunning(f"no server runs in {run_dir}") from error
        if line:
            break  # else the question came so late, on a busy machine, that it was not read
    if not line.endswith(b"\n"):
        raise NotRunning(f"the server in {run_dir} has just ended")
    answer = json.loads(line)
    if "error" in answer:
        raise ControlError(answer["error"])
    return answer["result"]


def _ask(run_dir: Path, question: bytes, timeout: float) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        connection.connect(str(run_dir / CONTROL))
        connection.sendall(question)
        return _line(connection)


def _line(connection: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"\n") and len(received) < _LONGEST * 16:
        chunk = connection.recv(_LONGEST)
        if not chunk:
            break
        received += chunk
    return received
