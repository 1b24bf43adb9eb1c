"""The filter chains, each in upstream's order: that of the secure port (DefaultBuildHandlerChain), that of the insecure
one, and that of the workers behind the front.

A request passes the filters of a chain from its last line to its first. Those of upstream that are not here have nothing
to do (or are listed in docs/architecture.md as missing): audit, tracing, the latency trackers. What goaway does, which is
about connections, the HTTP/2 protocol does.
"""

from __future__ import annotations

from collections.abc import Callable

from apiserver_workers.authentication.union import ServerAuthenticator
from apiserver_workers.authorization.attributes import Authorizer
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.filters.authentication import Authentication
from apiserver_workers.server.filters.authorization import Authorization
from apiserver_workers.server.filters.cache_control import CacheControl
from apiserver_workers.server.filters.cors import CORS
from apiserver_workers.server.filters.deadline import RequestDeadline
from apiserver_workers.server.filters.draining import Lifecycle, RetryAfter, WaitGroup
from apiserver_workers.server.filters.fixed_user import FixedUser
from apiserver_workers.server.filters.from_front import FromFront
from apiserver_workers.server.filters.hsts import HSTS
from apiserver_workers.server.filters.http_logging import HTTPLogging
from apiserver_workers.server.filters.impersonation import Impersonation
from apiserver_workers.server.filters.max_in_flight import MaxInFlight
from apiserver_workers.server.filters.observer import Observer
from apiserver_workers.server.filters.panic_recovery import PanicRecovery
from apiserver_workers.server.filters.request_body import RequestBody, nobody
from apiserver_workers.server.filters.request_info import RequestInfoFilter
from apiserver_workers.server.filters.warning_recorder import WarningRecorder
from apiserver_workers.server.http.messages import Handler, Request
from apiserver_workers.server.metrics import IN_FLIGHT, RequestMetrics

PassesOn = Callable[[Request], bool]


def build_chain(
    handler: Handler,
    config: ServerConfig,
    *,
    authenticator: ServerAuthenticator,
    authorizer: Authorizer,
    lifecycle: Lifecycle,
    passes_on: PassesOn = nobody,
) -> Handler:
    """`handler` behind all filters. `passes_on` says whose bodies another server reads."""
    chain: Handler = RequestBody(handler, passes_on)
    chain = Authorization(chain, authorizer)
    chain = in_flight = _limited(chain, config)
    chain = Impersonation(chain, authorizer)
    chain = Authentication(chain, authenticator)
    if config.cors_allowed_origins:
        chain = CORS(chain, allowed_origins=config.cors_allowed_origins)
    chain = WarningRecorder(chain)
    chain = RequestDeadline(chain, maximum=config.request_timeout)
    chain = WaitGroup(chain, lifecycle)
    chain = CacheControl(chain)
    if config.strict_transport_security_directives:
        chain = HSTS(chain, directives=config.strict_transport_security_directives)
    if config.shutdown_send_retry_after:
        chain = RetryAfter(chain, lifecycle)
    chain = HTTPLogging(chain)
    chain = Observer(chain, RequestMetrics().record)
    chain = RequestInfoFilter(chain)
    chain = PanicRecovery(chain)
    IN_FLIGHT.follow(lambda: {(request_kind,): float(number) for request_kind, number in in_flight.running.items()})
    return chain


def build_insecure_chain(
    handler: Handler, config: ServerConfig, *, lifecycle: Lifecycle, passes_on: PassesOn = nobody
) -> Handler:
    """`handler` behind the filters of the insecure port: everybody is one user who may do everything.

    In the order of upstream's BuildInsecureHandlerChain (1.12): the limit lies outside the user, so that it binds also
    whoever may do everything; nobody is impersonated.
    """
    chain: Handler = RequestBody(handler, passes_on)
    chain = FixedUser(chain)
    if config.cors_allowed_origins:
        chain = CORS(chain, allowed_origins=config.cors_allowed_origins)
    chain = WarningRecorder(chain)
    chain = RequestDeadline(chain, maximum=config.request_timeout)
    chain = _limited(chain, config)
    chain = WaitGroup(chain, lifecycle)
    chain = CacheControl(chain)
    if config.shutdown_send_retry_after:
        chain = RetryAfter(chain, lifecycle)
    chain = HTTPLogging(chain)
    chain = Observer(chain, RequestMetrics().record)
    chain = RequestInfoFilter(chain)
    return PanicRecovery(chain)


def build_inner_chain(handler: Handler) -> Handler:
    """`handler` of a worker behind the front, which has authenticated, authorized and counted what comes."""
    chain: Handler = RequestBody(handler)
    chain = WarningRecorder(chain)
    chain = CacheControl(chain)
    chain = HTTPLogging(chain)
    chain = FromFront(chain)
    chain = RequestInfoFilter(chain)
    return PanicRecovery(chain)


def _limited(handler: Handler, config: ServerConfig) -> MaxInFlight:
    return MaxInFlight(
        handler,
        reading=config.max_requests_inflight,
        mutating=config.max_mutating_requests_inflight,
        workers=config.aggregator_workers,
    )
