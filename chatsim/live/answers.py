"""What all HTTP routes share: answers and refusals as JSON, bodies within bounds, names out of paths, and who asks.

Decides whether somebody is who a route is for. Rule: a refusal is raised, so that a route reads as what it does; no
token or key is quoted. What is done for those who may is left to the routes.
"""

from __future__ import annotations

import hmac
from typing import Any, TypeVar
from urllib.parse import unquote

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from chatsim.core.frames import NESTING_MAX, UNREADABLE, too_deep
from chatsim.core.tokens import Claims, Refusal
from chatsim.live.driver import Driver
from chatsim.live.gate import Gate
from chatsim.live.routes import Refused

BODY_BYTES_MAX = 64 * 1024
NAME_MAX = 128
JTI_MAX = 256
"""Longest id of a token, as the token's check has it."""

RETRY_AFTER_S = 1
"""After how many seconds an order that could not be stored may be given again."""

T = TypeVar("T")
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="chatsim"'}


class DeniedError(Exception):
    """The request is refused with this status, code and sentence."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(code)
        self.response = error_answer(status, code, message, headers)


def json_answer(status: int, content: Any, headers: dict[str, str] | None = None) -> Response:
    """Content as JSON."""
    return Response(msgspec.json.encode(content), status, headers, "application/json")


def error_answer(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    """A refusal in the words of the protocol."""
    return json_answer(status, Refused(code, message), headers)


async def kept(driver: Driver) -> None:
    """Wait until the log has all that was ordered; raises DeniedError where it cannot take it now."""
    if not await driver.stored():
        raise unkept("it is in force, and could not be stored: do it again, or a restart may undo it")


def unkept(message: str) -> DeniedError:
    """The refusal of an order that the log cannot take now."""
    return DeniedError(503, "unavailable", message, {"Retry-After": str(RETRY_AFTER_S)})


class Bouncer:
    """Tells users, the administrator and everybody else apart; whom it refuses it counts at the gate."""

    def __init__(self, gate: Gate, admin_key: bytes | None) -> None:
        """Without an admin key nobody is the administrator."""
        self._gate = gate
        self._admin_key = admin_key

    def admin(self, request: Request) -> None:
        """Raises DeniedError for a request without the admin key; compared in constant time."""
        said = _bearer(request)
        if not said:
            raise self._denied("token_missing", "the admin key is needed")
        if not self._is_admin(said):
            raise self._denied("token_invalid", "the admin key is wrong")

    def user(self, request: Request) -> Claims:
        """The claims of the token in the header, or in the query; raises DeniedError where it is no good."""
        found = self._gate.verify(_bearer(request) or request.query_params.get("token", ""))
        if isinstance(found, Refusal):
            raise self._denied(found.code, found.detail)
        return found

    def either(self, request: Request) -> Claims | None:
        """The claims of the user, or None for the administrator; raises DeniedError for anybody else."""
        said = _bearer(request)
        return None if said and self._is_admin(said) else self.user(request)

    def _denied(self, code: str, message: str) -> DeniedError:
        refused = self._gate.refused_requests
        refused[code] = refused.get(code, 0) + 1
        return DeniedError(401, code, message, _CHALLENGE)

    def _is_admin(self, said: str) -> bool:
        return self._admin_key is not None and hmac.compare_digest(said.encode("latin-1"), self._admin_key)


def _bearer(request: Request) -> str:
    scheme, _, said = request.headers.get("authorization", "").partition(" ")
    return said.strip() if scheme.lower() == "bearer" else ""


async def read(request: Request, decoder: msgspec.json.Decoder[T], bytes_max: int = BODY_BYTES_MAX) -> T:
    """The body as what the decoder makes of it; raises DeniedError where it is larger, or something else."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > bytes_max:
            raise DeniedError(413, "too_large", f"a body has at most {bytes_max} bytes")
    try:
        # What is passed on unread must be text all the same: it ends up in frames of text.
        order = decoder.decode(body.decode())
    except msgspec.ValidationError as problem:
        raise DeniedError(400, "bad_request", f"the body has another shape: {problem}") from None
    except UNREADABLE:
        raise DeniedError(400, "bad_request", "the body is not JSON") from None
    if too_deep(bytes(body), NESTING_MAX):
        raise DeniedError(400, "bad_request", f"the body is nested deeper than {NESTING_MAX} levels")
    return order


def name_in(request: Request, parameter: str, length_max: int = NAME_MAX) -> str:
    """A name out of the path, whatever characters it has; raises DeniedError where it is none."""
    try:
        name = unquote(request.path_params[parameter], errors="strict")
    except UnicodeDecodeError:
        name = ""
    if not 1 <= len(name) <= length_max:
        raise DeniedError(400, "bad_request", f"the {parameter} has 1 to {length_max} characters, in UTF-8")
    return name


def number_in(request: Request, parameter: str, default: int, least: int) -> int:
    """A whole number out of the query; raises DeniedError where it is none, or too small."""
    said = request.query_params.get(parameter, str(default))
    if not (said.isascii() and said.isdecimal() and len(said) <= 18 and int(said) >= least):
        raise DeniedError(400, "bad_request", f"{parameter} is a whole number of {least} or more")
    return int(said)


class EncodedPaths:
    """Has paths matched as they were sent: a slash inside a name is %2F, and parts no path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            raw = scope.get("raw_path")
            if raw:
                scope = dict(scope) | {"path": raw.decode("latin-1")}
        await self._app(scope, receive, send)
