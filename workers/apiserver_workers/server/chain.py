"""The filter chains of the front: that of the secure port, in the order of upstream's DefaultBuildHandlerChain, and that
of the insecure one."""

from __future__ import annotations

from collections.abc import Callable

from apiserver_workers.authentication.union import ServerAuthenticator
from apiserver_workers.authorization.attributes import Authorizer
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.filters.authentication import Authentication
from apiserver_workers.server.filters.authorization import Authorization
from apiserver_workers.server.filters.cors import CORS
from apiserver_workers.server.filters.deadline import RequestDeadline
from apiserver_workers.server.filters.fixed_user import FixedUser
from apiserver_workers.server.filters.hsts import HSTS
from apiserver_workers.server.filters.impersonation import Impersonation
from apiserver_workers.server.filters.max_in_flight import MaxInFlight
from apiserver_workers.server.filters.observer import Observer
from apiserver_workers.server.filters.panic_recovery import PanicRecovery
from apiserver_workers.server.filters.request_body import RequestBody, nobody
from apiserver_workers.server.filters.request_info import RequestInfoFilter
from apiserver_workers.server.http.messages import Handler, Request
from apiserver_workers.server.metrics import IN_FLIGHT, RequestMetrics

PassesOn = Callable[[Request], bool]


def build_chain(
    handler: Handler,
    config: ServerConfig,
    *,
    authenticator: ServerAuthenticator,
    authorizer: Authorizer,
    passes_on: PassesOn = nobody,
) -> Handler:
    """`handler` behind all filters. A request passes them from the last line to the first. `passes_on` says whose bodies
    another server reads."""
    chain: Handler = Authorization(RequestBody(handler, passes_on), authorizer)
    chain = in_flight = MaxInFlight(
        chain,
        reading=config.max_requests_inflight,
        mutating=config.max_mutating_requests_inflight,
        workers=config.aggregator_workers,
    )
    chain = Impersonation(chain, authorizer)
    chain = Authentication(chain, authenticator)
    if config.cors_allowed_origins:
        chain = CORS(chain, allowed_origins=config.cors_allowed_origins)
    chain = RequestDeadline(chain, maximum=config.request_timeout)
    if config.strict_transport_security_directives:
        chain = HSTS(chain, directives=config.strict_transport_security_directives)
    chain = Observer(chain, RequestMetrics().record)
    chain = RequestInfoFilter(chain)
    chain = PanicRecovery(chain)
    IN_FLIGHT.follow(lambda: {(kind,): float(number) for kind, number in in_flight.running.items()})
    return chain


def build_insecure_chain(handler: Handler, config: ServerConfig, passes_on: PassesOn = nobody) -> Handler:
    """`handler` behind the filters of the insecure port: everybody is one user who may do everything.

    In the order of upstream's BuildInsecureHandlerChain (1.12): the limit lies outside the user, so that it binds also
    whoever may do everything; nobody is impersonated.
    """
    chain: Handler = FixedUser(RequestBody(handler, passes_on))
    if config.cors_allowed_origins:
        chain = CORS(chain, allowed_origins=config.cors_allowed_origins)
    chain = RequestDeadline(chain, maximum=config.request_timeout)
    chain = MaxInFlight(
        chain,
        reading=config.max_requests_inflight,
        mutating=config.max_mutating_requests_inflight,
        workers=config.aggregator_workers,
    )
    chain = Observer(chain, RequestMetrics().record)
    chain = RequestInfoFilter(chain)
    return PanicRecovery(chain)
