"""WithWarningRecorder: what handlers warn of goes into the answer's head, once each."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable

from apiserver_workers.server.http.messages import Handler, Request, Response

MOST = 4096  # characters of all warnings; beyond that each is cut
LONGEST = 256  # characters of one that is cut
HEADER = "Warning"


class WarningRecorder:
    """Adds a Warning header for each of request.warnings."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def __call__(self, request: Request) -> Awaitable[Response]:
        request.on_answer(_add)
        return self._handler(request)


def _add(request: Request, response: Response) -> None:
    if request.warnings:
        values = map(warning_value, recorded(request.warnings))
        response.headers = [*response.headers, *((HEADER, value) for value in values)]


def recorded(warnings: Iterable[str]) -> list[str]:
    """The texts that clients are told: each once, within the limits that upstream's recorder has."""
    texts = [text for text in dict.fromkeys(warnings) if text]
    if sum(map(len, texts)) <= MOST:
        return texts
    whole = _first_beyond(texts)
    told = [text[:LONGEST] for text in texts[:whole]]
    written = sum(map(len, told))
    for text in texts[whole:]:
        if written >= MOST:
            break
        told.append(text[:LONGEST])
        written += len(told[-1])
    return told


def _first_beyond(texts: list[str]) -> int:
    """How many texts there are up to the one that goes beyond the limit: upstream cuts all of these when it comes."""
    written = 0
    for number, text in enumerate(texts, 1):
        written += len(text)
        if written > MOST:
            return number
    return len(texts)


def warning_value(text: str) -> str:
    """`299 - "text"`, quoted as k8s.io/apimachinery/pkg/util/net.NewWarningHeader does: control characters dropped."""
    visible = "".join(character for character in text if ord(character) >= 32 and ord(character) != 127)
    return '299 - "' + visible.replace("\\", "\\\\").replace('"', '\\"') + '"'
