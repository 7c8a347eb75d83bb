"""The HTTP routes beside the WebSocket: health, metrics, and the tokens that the admin key may make and revoke.

Decides what each route answers; every error is JSON `{"error": CODE, "message": TEXT}`.
Rule: never on the hot path, and no token or key is ever written to a log.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chatsim.core.frames import Name
from chatsim.core.tokens import issue
from chatsim.live.gate import Gate
from chatsim.telemetry.prometheus import CONTENT_TYPE

READY_LAG_S_MAX = 0.25
"""A loop later than this is not ready for more (protocol.md, section 4)."""

BODY_BYTES_MAX = 64 * 1024
TTL_S_DEFAULT = 3600.0
TTL_S_MAX = 366 * 86_400.0


class Minter(msgspec.Struct, frozen=True):
    """What it takes to make tokens: the signing key (secret or private PEM), its algorithm, and who they are for."""

    key: bytes
    algorithm: str
    audience: str | None = None
    issuer: str | None = None


class _TokenRequest(msgspec.Struct):
    user: Name
    ttl_s: Annotated[float, Meta(gt=0, le=TTL_S_MAX)] = TTL_S_DEFAULT
    sessions: tuple[Name, ...] | None = None


_token_request = msgspec.json.Decoder(_TokenRequest)

_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed"}
_TEXTS = {404: "there is nothing here", 405: "this method is not served here"}


def _json(status: int, content: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(content), status, headers, "application/json")


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    return _json(status, {"error": code, "message": message}, headers)


async def _refused(_request: Request, problem: Exception) -> Response:
    """What Starlette itself refuses (no such path, method or body), in the words of the protocol."""
    assert isinstance(problem, HTTPException)
    status = problem.status_code
    headers = dict(problem.headers) if problem.headers else None
    return _error(status, _CODES.get(status, "bad_request"), _TEXTS.get(status, problem.detail), headers)


async def _crashed(_request: Request, _problem: Exception) -> Response:
    return _error(500, "internal", "the server failed: its log says more")


class Routes:
    """The routes of one server."""

    def __init__(
        self, gate: Gate, *, admin_key: bytes | None, minter: Minter | None, metrics: Callable[[], bytes]
    ) -> None:
        """Without an admin key nobody is admitted to its routes; without a minter no token is made here.

        `metrics` gives what a scrape is answered with.
        """
        self._gate = gate
        self._driver = gate.driver
        self._admin_key = admin_key
        self._minter = minter
        self._exposition = metrics

    def app(self) -> Starlette:
        """The ASGI application."""
        routes = [
            Route("/health/live", self._live, methods=["GET"]),
            Route("/health/ready", self._ready, methods=["GET"]),
            Route("/metrics", self._metrics, methods=["GET"]),
            Route("/api/tokens", self._make_token, methods=["POST"]),
            Route("/api/tokens/{jti}", self._revoke_token, methods=["DELETE"]),
            Route("/ws", self._plain_websocket, methods=["GET"]),
        ]
        app = Starlette(routes=routes, exception_handlers={HTTPException: _refused, Exception: _crashed})
        # A slash too many is a path that is not there: a redirect would carry the query, and so a token, once more.
        app.router.redirect_slashes = False
        return app

    async def _live(self, _request: Request) -> Response:
        return _json(200, {"status": "live"})

    async def _ready(self, _request: Request) -> Response:
        if self._driver.draining:
            return _error(503, "draining", "the server is going away")
        if self._driver.loop_lag_s() > READY_LAG_S_MAX:
            return _error(503, "overloaded", f"the event loop lags by more than {READY_LAG_S_MAX:g} s")
        return _json(200, {"status": "ready"})

    async def _metrics(self, _request: Request) -> Response:
        return Response(self._exposition(), headers={"Content-Type": CONTENT_TYPE})

    async def _plain_websocket(self, _request: Request) -> Response:
        return _error(426, "upgrade_required", "this is a WebSocket: ask for an upgrade", {"Upgrade": "websocket"})

    def _not_admin(self, request: Request) -> Response | None:
        """The refusal of a request without the admin key; compared in constant time."""
        scheme, _, said = request.headers.get("authorization", "").partition(" ")
        challenge = {"WWW-Authenticate": 'Bearer realm="chatsim"'}
        if scheme.lower() != "bearer" or not said.strip():
            return _error(401, "token_missing", "the admin key is needed", challenge)
        if self._admin_key is None or not hmac.compare_digest(said.strip().encode("latin-1"), self._admin_key):
            return _error(401, "token_invalid", "the admin key is wrong", challenge)
        return None

    async def _make_token(self, request: Request) -> Response:
        refusal = self._not_admin(request)
        if refusal is not None:
            return refusal
        if self._minter is None:
            return _error(503, "unavailable", "no signing key here: tokens come from elsewhere")
        body = await _body(request)
        if body is None:
            return _error(413, "too_large", f"a body has at most {BODY_BYTES_MAX} bytes")
        try:
            asked = _token_request.decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as problem:
            said = str(problem) if isinstance(problem, msgspec.ValidationError) else "not JSON"
            return _error(400, "bad_request", f"the body is {{user, ttl_s?, sessions?}}: {said}")
        return _json(201, self._mint(self._minter, asked), {"Cache-Control": "no-store"})

    def _mint(self, minter: Minter, asked: _TokenRequest) -> dict[str, Any]:
        wall = self._driver.wall()
        jti = secrets.token_hex(16)
        token = issue(
            minter.key,
            minter.algorithm,
            sub=asked.user,
            exp=wall + asked.ttl_s,
            wall=wall,
            jti=jti,
            sessions=asked.sessions,
            audience=minter.audience,
            issuer=minter.issuer,
        )
        return {"token": token, "expires_at": wall + asked.ttl_s, "jti": jti}

    async def _revoke_token(self, request: Request) -> Response:
        refusal = self._not_admin(request)
        if refusal is not None:
            return refusal
        if not self._gate.revoke(request.path_params["jti"]):
            return _error(503, "overloaded", "too many revoked tokens to remember another: change the token key")
        return Response(status_code=204)


async def _body(request: Request) -> bytes | None:
    """The body, or None once it has grown beyond the limit."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            return None
    return bytes(body)
