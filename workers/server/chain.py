"""The filter chains of the front: that of the secure port, in the order of upstream's DefaultBuildHandlerChain, and that
of the insecure one."""

from __future__ import annotations

from workers.server.authentication.union import ServerAuthenticator
from workers.server.authorization.attributes import Authorizer
from workers.server.config import ServerConfig
from workers.server.filters.authentication import Authentication
from workers.server.filters.authorization import Authorization
from workers.server.filters.cors import CORS
from workers.server.filters.deadline import RequestDeadline
from workers.server.filters.fixed_user import FixedUser
from workers.server.filters.hsts import HSTS
from workers.server.filters.impersonation import Impersonation
from workers.server.filters.max_in_flight import MaxInFlight
from workers.server.filters.observer import Observer
from workers.server.filters.panic_recovery import PanicRecovery
from workers.server.filters.request_info import RequestInfoFilter
from workers.server.http import Handler
from workers.server.metrics import IN_FLIGHT, RequestMetrics


def build_chain(
    handler: Handler, config: ServerConfig, *, authenticator: ServerAuthenticator, authorizer: Authorizer
) -> Handler:
    """`handler` behind all filters. A request passes them from the last line to the first."""
    chain: Handler = Authorization(handler, authorizer)
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


def build_insecure_chain(handler: Handler, config: ServerConfig) -> Handler:
    """`handler` behind the filters of the insecure port: everybody is one user who may do everything.

    In the order of upstream's BuildInsecureHandlerChain (1.12): the limit lies outside the user, so that it binds also
    whoever may do everything; nobody is impersonated.
    """
    chain: Handler = FixedUser(handler)
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
