"""What one worker answers on its private socket: its numbers and profiles, and orders that go to all workers."""

from __future__ import annotations

import logging

import orjson

from apiserver_workers.apimachinery.metrics import REGISTRY
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.filters.http_logging import REQUEST_LOG
from apiserver_workers.server.http.messages import Request, Response, page_not_found, text_response
from apiserver_workers.server.metrics import measure_process
from apiserver_workers.server.process import verbosity
from apiserver_workers.server.process.logs import set_verbosity
from apiserver_workers.server.profiling.cpu import InUse
from apiserver_workers.server.profiling.local import LocalProfiles

PROFILES = "/profiles/"

log = logging.getLogger(__name__)


class PrivateEndpoints:
    """To be made in the worker, in its event loop."""

    def __init__(self, config: ServerConfig) -> None:
        open_to_profiling = config.profiling or bool(config.debug_socket_path)
        self._profiles = LocalProfiles(contention=config.contention_profiling and open_to_profiling)
        _set_verbosity(verbosity.kept(config.run_dir, config.v))

    async def handle(self, request: Request) -> Response:
        """Answer a sibling."""
        query = request.query
        match request.method, request.path:
            case "GET", "/metrics":
                measure_process()
                return Response(body=orjson.dumps(REGISTRY.snapshot()))
            case "DELETE", "/metrics":
                REGISTRY.reset()
            case "PUT", "/verbosity":
                _set_verbosity(int(query["v"][0]))
                log.info("verbosity is %s now", query["v"][0])
            case "GET", path if path.startswith(PROFILES):
                return await self._profile(path.removeprefix(PROFILES), float(query["seconds"][0]))
            case _:
                return page_not_found()
        return text_response("ok")

    async def _profile(self, name: str, seconds: float) -> Response:
        try:
            return text_response(await self._profiles.get(name, seconds))
        except InUse:
            return text_response("in use", 409)


def _set_verbosity(v: int) -> None:
    set_verbosity(v)
    REQUEST_LOG.set_verbosity(v)
