"""Accept and Content-Type: which representation is sent, which was received.

Two layers decide upstream, and so do two here: the router compares plain media types (406 and 415 in the router's words),
then the API looks at the parameters `as`, `g` and `v` (406 in the API's words).
"""

from __future__ import annotations

from dataclasses import dataclass

from apiserver_workers.apimachinery.errors import ApiError, not_acceptable, unsupported_media_type
from apiserver_workers.apimachinery.memo import Memo, memoized
from apiserver_workers.server.http.messages import Request

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
MEDIA_TYPES = (JSON, YAML, PROTOBUF)
TEXT_TYPES = (JSON, YAML)
STREAM_TYPES = (f"{JSON};stream=watch", f"{PROTOBUF};stream=watch")
TABLE, PARTIAL, PARTIAL_LIST = "Table", "PartialObjectMetadata", "PartialObjectMetadataList"
META_VERSIONS = ("v1", "v1beta1")

TERMINALS = ("curl", "Wget", "Mozilla/5.0")


@dataclass(frozen=True, slots=True)
class Output:
    """The representation to send: `transform` is Table, PartialObjectMetadata, PartialObjectMetadataList or ""."""

    media_type: str = JSON
    transform: str = ""
    version: str = ""


PLAIN = Output()


@dataclass(frozen=True, slots=True)
class _Clause:
    media_type: str
    quality: float
    parameters: tuple[tuple[str, str], ...]


def negotiate(accept: str, *, listing: bool = False, tables: bool = True) -> Output:
    """What an Accept header asks for; `listing` where lists and watches are served, not `tables` where the kind is never
    shown as a table. Raises ApiError 406.
    """
    return _outputs[accept, listing, tables]


def _negotiate(asked: tuple[str, bool, bool]) -> Output:
    accept, listing, tables = asked
    if not accept or accept in ("*/*", JSON):
        return PLAIN
    clauses = _clauses(accept)
    if not any(clause.media_type in (*MEDIA_TYPES, "*/*") for clause in clauses):
        raise _router_refusal(listing)
    for clause in sorted(clauses, key=lambda clause: -clause.quality):
        if clause.media_type in MEDIA_TYPES:
            output = _output(clause.media_type, dict(clause.parameters))
        elif clause.media_type in ("*/*", "application/*"):
            output = _output(JSON, dict(clause.parameters))
        else:
            continue
        if output is not None and (tables or output.transform != TABLE):
            return output
    raise not_acceptable(MEDIA_TYPES)


_outputs = Memo(_negotiate)


@memoized
def status_media_type(accept: str) -> str:
    """The media type of a Status for an Accept header, "" where none that is accepted has one: it takes no other form."""
    if not accept:
        return JSON
    for clause in sorted(_clauses(accept), key=lambda clause: -clause.quality):
        if any(name == "as" for name, _ in clause.parameters):
            continue
        if clause.media_type in MEDIA_TYPES:
            return clause.media_type
        if clause.media_type in ("*/*", "application/*"):
            return JSON
    return ""


def _router_refusal(listing: bool) -> ApiError:
    available = ", ".join(MEDIA_TYPES + STREAM_TYPES if listing else MEDIA_TYPES)
    return ApiError(406, "NotAcceptable", f"406: Not Acceptable\n\nAvailable representations: {available}", {})


def _clauses(accept: str) -> list[_Clause]:
    clauses = []
    for part in accept.split(","):
        media_type, *rest = (piece.strip() for piece in part.split(";"))
        parameters = [(name.strip(), value.strip().strip('"')) for name, _, value in (p.partition("=") for p in rest)]
        quality = next((value for name, value in parameters if name == "q"), "1")
        try:
            weight = float(quality)
        except ValueError:
            weight = 1.0
        clauses.append(_Clause(media_type.lower(), weight, tuple(p for p in parameters if p[0] != "q")))
    return clauses


def _output(media_type: str, parameters: dict[str, str]) -> Output | None:
    """The output of one clause, None when its parameters ask for what is not served."""
    transform = parameters.get("as", "")
    if not transform:
        return Output(media_type)
    version = parameters.get("v", "")
    if parameters.get("g", "") != "meta.k8s.io" or version not in META_VERSIONS:
        return None
    if transform == TABLE and media_type == PROTOBUF:
        return None
    return Output(media_type, transform, version) if transform in (TABLE, PARTIAL, PARTIAL_LIST) else None


def refuse_protobuf(request: Request) -> None:
    """For a kind that protobuf cannot say: as if the client had not asked for it. Raises ApiError 406 and 415.

    Its metadata alone are of a kind that protobuf has.
    """
    headers = request.headers
    if PROTOBUF in headers.get("content-type", ""):
        raise unsupported_media_type(TEXT_TYPES)
    if PROTOBUF in (accept := headers.get("accept", "")):
        others = ",".join(clause for clause in accept.split(",") if PROTOBUF not in clause or "as=" in clause)
        if not others:
            raise not_acceptable(TEXT_TYPES)
        headers["accept"] = others


@memoized
def request_media_type(content_type: str) -> str:
    """The media type of a request's body; JSON where none is named. Raises ApiError 415."""
    media_type = content_type.partition(";")[0].strip().lower()
    if not media_type or media_type == "*/*":
        return JSON
    if media_type not in MEDIA_TYPES:
        raise unsupported_media_type(MEDIA_TYPES)
    return media_type


def patch_type(content_type: str, allowed: tuple[str, ...]) -> str:
    """The media type of a patch, one of those that the kind allows. Raises ApiError 415."""
    media_type = content_type.partition(";")[0].strip()
    if media_type not in allowed:
        raise ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
    return media_type


def wants_pretty(pretty: str, user_agent: str) -> bool:
    """Whether JSON is indented: as the query says, or for browsers and the like."""
    if pretty:
        return pretty in ("1", "t", "T", "TRUE", "true", "True")
    return user_agent.startswith(TERMINALS)
