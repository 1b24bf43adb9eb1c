"""/debug/pprof/ and /debug/flags/ at the front, for all workers of the server at once.

With --profiling on the secure port, and on --debug-socket-path in any case. ?worker=NAME asks one worker only, ?debug=0
gives stacks in pprof's own format instead of text.
"""

from __future__ import annotations

import asyncio
import html

from apiserver_workers.server.http.messages import Handler, Request, Response, page_not_found, text_response
from apiserver_workers.server.process import verbosity
from apiserver_workers.server.process.siblings import ask_workers
from apiserver_workers.server.profiling.local import CPU, PROFILES
from apiserver_workers.server.profiling.pprof import KINDS, encode

PPROF, FLAGS = "/debug/pprof", "/debug/flags"
DEFAULT_SECONDS = 30.0
ANSWER_WITHIN = 10.0
HTML = "text/html; charset=utf-8"
PLAIN = "text/plain"


class DebugEndpoints:
    """`prefixes` are handlers by the path that they are mounted at and below."""

    def __init__(self, run_dir: str) -> None:
        self._run_dir = run_dir
        self.prefixes: dict[str, Handler] = {PPROF: self.profiles, FLAGS: self.flags}

    async def handle(self, request: Request) -> Response:
        """For a socket where there is nothing else."""
        for prefix, handler in self.prefixes.items():
            if request.path == prefix or request.path.startswith(prefix + "/"):
                return await handler(request)
        return page_not_found()

    async def profiles(self, request: Request) -> Response:
        """The index, and the profiles below it."""
        if request.path == PPROF:
            return Response(302, content_type="", headers=[("Location", f"{PPROF}/")])
        name = request.path.removeprefix(f"{PPROF}/")
        if not name:
            return Response(body=_index().encode(), content_type=HTML)
        if name not in PROFILES:
            return text_response("Unknown profile\n", 404, [("X-Go-Pprof", "1")])
        query = request.query
        seconds = _seconds(query) if name == CPU else 0.0
        answers = await ask_workers(
            self._run_dir, "GET", f"/profiles/{name}?seconds={seconds}", timeout=seconds + ANSWER_WITHIN
        )
        wanted = [one for one in query.get("worker", ()) if one]
        chosen = {worker: text.decode() for worker, text in answers.items() if not wanted or worker in wanted}
        if answers and not chosen:
            return text_response("Unknown worker\n", 404)
        if not answers:
            return text_response("Could not enable CPU profiling: cpu profiling already in use\n", 500)
        text = "".join(_of_worker(worker, text) for worker, text in chosen.items())
        if query.get("debug") == ["0"] and name in KINDS:
            encoded = await asyncio.to_thread(encode, KINDS[name], text.splitlines(), seconds)
            attached = ("Content-Disposition", f'attachment; filename="{name}"')
            return Response(body=encoded, content_type="application/octet-stream", headers=[attached])
        return text_response(text)

    async def flags(self, request: Request) -> Response:
        """The index, and the verbosity, which can be put."""
        if request.path != f"{FLAGS}/v":
            return Response(body=_FLAGS_INDEX.encode(), content_type=HTML)
        if request.method != "PUT":
            return _plain("unsupported http method", 406)
        text = request.body.decode("utf-8", "replace")
        try:
            v = verbosity.parse(text)
        except ValueError as error:
            return _plain(f"failed set klog.logging.verbosity {text}: {error}", 400)
        await asyncio.to_thread(verbosity.keep, self._run_dir, v)
        await ask_workers(self._run_dir, "PUT", f"/verbosity?v={v}", timeout=ANSWER_WITHIN)
        return _plain(f"successfully set klog.logging.verbosity to {text}", 200)


def _plain(text: str, status: int) -> Response:
    return Response(status, f"{text}\n".encode(), PLAIN)


def _seconds(query: dict[str, list[str]]) -> float:
    """As Go reads it: what is no positive number is the default."""
    try:
        seconds = float(query["seconds"][0])
    except (KeyError, ValueError):
        return DEFAULT_SECONDS
    return seconds if 0 < seconds < float("inf") else DEFAULT_SECONDS


def _of_worker(worker: str, text: str) -> str:
    """The worker is the root of each of its stacks."""
    return "".join(f"{worker};{line}\n" for line in text.splitlines())


def _index() -> str:
    rows = "".join(
        f"<tr><td><a href='{name}'>{name}</a></td><td>{html.escape(about)}</td></tr>\n"
        for name, about in PROFILES.items()
    )
    return (
        "<html>\n<head>\n<title>/debug/pprof/</title>\n</head>\n<body>\n/debug/pprof/<br>\n<br>\n"
        f"Profiles of all workers of this server, one stack a line with its weight:\n<table>\n{rows}</table>\n"
        "<br>?worker=NAME is one worker's, ?debug=0 is for go tool pprof.\n"
        "</body>\n</html>\n"
    )


_FLAGS_INDEX = (
    "<html>\n<head>\n<title>/debug/flags/</title>\n</head>\n<body>\n/debug/flags/<br>\n<br>\nflags:<br>\n<table>\n\n"
    "<tr>v<br>\n\n</table>\n<br>\nfull flags configurable<br>\n</body>\n</html>\n"
)
