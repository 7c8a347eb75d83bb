"""The HTTP routes beside the WebSocket: health, metrics, and the tokens that the admin key may make and revoke.

Decides how a request finds what answers it; every error is JSON `{"error": CODE, "message": TEXT}`.
Rule: never on the hot path, and no token or key is ever written to a log.
Which routes there are stands in `routes`, those about sessions in `sessions`.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chatsim.core.tokens import RESERVED, Minter
from chatsim.live.answers import (
    JTI_MAX,
    Bouncer,
    DeniedError,
    EncodedPaths,
    error_answer,
    json_answer,
    kept,
    name_in,
    read,
)
from chatsim.live.gate import Gate
from chatsim.live.openapi import document
from chatsim.live.routes import OPERATIONS, Health, Token, TokenOrder
from chatsim.live.sessions import SessionRoutes
from chatsim.telemetry.prometheus import CONTENT_TYPE

READY_LAG_S_MAX = 0.25
"""A loop later than this is not ready for more (protocol.md, section 4)."""

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]


class _ClockOrder(msgspec.Struct):
    by_s: float


_token_order = msgspec.json.Decoder(TokenOrder)
_clock_order = msgspec.json.Decoder(_ClockOrder)

_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed"}
_TEXTS = {404: "there is nothing here", 405: "this method is not served here"}


async def _refused(_request: Request, problem: Exception) -> Response:
    """What Starlette itself refuses (no such path, method or body), in the words of the protocol."""
    assert isinstance(problem, HTTPException)
    status = problem.status_code
    headers = dict(problem.headers) if problem.headers else None
    return error_answer(status, _CODES.get(status, "bad_request"), _TEXTS.get(status, problem.detail), headers)


async def _denied(_request: Request, problem: Exception) -> Response:
    assert isinstance(problem, DeniedError)
    return problem.response


async def _crashed(_request: Request, _problem: Exception) -> Response:
    return error_answer(500, "internal", "the server failed: its log says more")


class Routes:
    """The routes of one server; the functions have the names of the table."""

    def __init__(
        self, gate: Gate, *, admin_key: bytes | None, minter: Minter | None, metrics: Callable[[], bytes]
    ) -> None:
        """Without an admin key nobody is admitted to its routes; without a minter no token is made here.

        `metrics` gives what a scrape is answered with.
        """
        self._driver = gate.driver
        self._bouncer = Bouncer(gate, admin_key)
        self._sessions = SessionRoutes(gate, self._bouncer)
        self._minter = minter
        self._exposition = metrics
        # Made once: it takes milliseconds, and anybody may ask for it.
        self._document = msgspec.json.encode(document())

    def app(self, *, clock: bool = False) -> Starlette:
        """The ASGI application; `clock` adds the route of tests that sets the wall clock, which is in no document."""
        paths: dict[str, dict[str, Endpoint]] = {}
        for operation in OPERATIONS:
            owner = self if hasattr(self, operation.name) else self._sessions
            paths.setdefault(operation.path, {})[operation.method] = getattr(owner, operation.name)
        routes = [Route(path, _by_method(answers), methods=list(answers)) for path, answers in paths.items()]
        routes.append(Route("/ws", self._plain_websocket, methods=["GET"]))
        if clock:
            routes.append(Route("/api/clock", self._set_clock, methods=["POST"]))
        refusals = {HTTPException: _refused, DeniedError: _denied, Exception: _crashed}
        app = Starlette(routes=routes, exception_handlers=refusals, middleware=[Middleware(EncodedPaths)])
        # A slash too many is a path that is not there: a redirect would carry the query, and so a token, once more.
        app.router.redirect_slashes = False
        return app

    async def live(self, _request: Request) -> Response:
        """`GET /health/live`: 200 as long as there is anybody to answer."""
        return json_answer(200, Health("live"))

    async def ready(self, _request: Request) -> Response:
        """`GET /health/ready`: 503 while the server drains, or its loop lags too far behind."""
        if self._driver.draining:
            return error_answer(503, "draining", "the server is going away")
        if self._driver.loop_lag_s() > READY_LAG_S_MAX:
            return error_answer(503, "overloaded", f"the event loop lags by more than {READY_LAG_S_MAX:g} s")
        return json_answer(200, Health("ready"))

    async def metrics(self, _request: Request) -> Response:
        """`GET /metrics`: what Prometheus scrapes."""
        return Response(self._exposition(), headers={"Content-Type": CONTENT_TYPE})

    async def openapi(self, _request: Request) -> Response:
        """`GET /openapi.json`: the document of these routes."""
        return Response(self._document, media_type="application/json")

    async def _plain_websocket(self, _request: Request) -> Response:
        return error_answer(
            426, "upgrade_required", "this is a WebSocket: ask for an upgrade", {"Upgrade": "websocket"}
        )

    async def _set_clock(self, request: Request) -> Response:
        self._bouncer.admin(request)
        self._driver.clock_jump((await read(request, _clock_order)).by_s)
        return Response(status_code=204)

    async def make_token(self, request: Request) -> Response:
        """`POST /api/tokens`: a token, for the admin key."""
        self._bouncer.admin(request)
        if self._minter is None:
            raise DeniedError(503, "unavailable", "no signing key here: tokens come from elsewhere")
        asked = await read(request, _token_order)
        if asked.user.startswith(RESERVED):
            raise DeniedError(400, "bad_request", f"a user's name does not begin with {RESERVED}: the server's do")
        return json_answer(201, self._mint(self._minter, asked), {"Cache-Control": "no-store"})

    def _mint(self, minter: Minter, asked: TokenOrder) -> Token:
        wall = self._driver.wall()
        jti = secrets.token_hex(16)
        token = minter.mint(asked.user, asked.ttl_s, wall=wall, jti=jti, sessions=asked.sessions)
        return Token(token, wall + asked.ttl_s, jti)

    async def revoke_token(self, request: Request) -> Response:
        """`DELETE /api/tokens/{jti}`: one token, revoked and stored as such."""
        self._bouncer.admin(request)
        if not self._driver.revoke(jti=name_in(request, "jti", JTI_MAX)):
            raise DeniedError(503, "overloaded", "too many revoked tokens to remember another: change the token key")
        await kept(self._driver)
        return Response(status_code=204)

    async def revoke_user(self, request: Request) -> Response:
        """`DELETE /api/users/{user}/tokens`: all tokens of a user, revoked and stored as such."""
        self._bouncer.admin(request)
        if not self._driver.revoke(user=name_in(request, "user")):
            raise DeniedError(503, "overloaded", "too many revocations to remember another: change the token key")
        await kept(self._driver)
        return Response(status_code=204)


def _by_method(answers: dict[str, Endpoint]) -> Endpoint:
    """One path may mean several things; Starlette tells which methods there are only if they are one route."""

    async def answer(request: Request) -> Response:
        return await answers["GET" if request.method == "HEAD" else request.method](request)

    return answer
