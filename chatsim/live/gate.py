"""Who may open a connection: origin, token, and whether there is room.

Decides on a handshake before anything is upgraded, and what is answered to those who may not come in.
Rule: a token goes no further than this gate: what is behind it gets claims, and no log or answer quotes it.
The upgrade itself is left to `chatsim.live.protocol`, what a user may do once inside to the handler.
"""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import msgspec
from websockets.http11 import Request

from chatsim.core.admission import Admission, NoRoom
from chatsim.core.config import HandlerConfig
from chatsim.core.tokens import Claims, Keys, Refusal, verify
from chatsim.live.driver import Driver

BEARER_PREFIX = "bearer."

_NO_ROOM: dict[NoRoom, str] = {
    "draining": "the server is going away: come back later",
    "overloaded": "too many connections: come back later",
}


class Denial(msgspec.Struct, gc=False):
    """A request that is not upgraded: HTTP status, code and one sentence; `retry_after_s` 0 is not told."""

    status: int
    code: str
    message: str
    retry_after_s: int = 0


class Gate:
    """Who may come in: origin, token, and whether there is room."""

    def __init__(self, driver: Driver, keys: Keys, config: HandlerConfig, *, seed: int = 0) -> None:
        """`config` is as the handler has it; `seed` is that of the jitter in `Retry-After`.

        `refused` counts handshakes, `refused_requests` other requests whose token or key is no good, by error code.
        """
        self.driver = driver
        self.config = config
        self.refused: dict[str, int] = {}
        self.refused_requests: dict[str, int] = {}
        self._keys = keys
        self._admission = Admission(config, seed=seed)

    def verify(self, token: str) -> Claims | Refusal:
        """The claims of a token that is good now, or why it is not."""
        config = self.config
        found = verify(token, self._keys, self.driver.wall(), audience=config.audience, issuer=config.issuer)
        if isinstance(found, Claims) and self.driver.revoked(found):
            return Refusal("token_revoked", "the token was revoked")
        return found

    def enter(self, request: Request) -> Claims | Denial:
        """The claims of somebody who may come in, or what to answer instead; refusals are counted by their code."""
        found = self._judge(request)
        if isinstance(found, Denial):
            self.refused[found.code] = self.refused.get(found.code, 0) + 1
        return found

    def _judge(self, request: Request) -> Claims | Denial:
        if not self._origin_allowed(request):
            return Denial(403, "origin_forbidden", "this origin may not connect: name it in origins")
        query = _query(request)
        found = self.verify(_token(request, query))
        if isinstance(found, Refusal):
            return Denial(401, found.code, found.detail)
        return self._room(query.get("resume", ""), found.sub) or found

    def _room(self, resume: str, user: str) -> Denial | None:
        """What to answer where there is no room for one more of this user, whose former connection was `resume`."""
        driver = self.driver
        back = driver.knew(resume, user)
        reason = self._admission.refusal(
            driver.now(), connections=driver.connections(), draining=driver.draining, back=back
        )
        return None if reason is None else Denial(503, reason, _NO_ROOM[reason], self._admission.retry_after_s())

    def _origin_allowed(self, request: Request) -> bool:
        """Browsers name the page's origin: it is the same host, or one of those configured; others name none."""
        origins = request.headers.get_all("Origin")
        if not origins:
            return True
        allowed = self.config.origins
        if len(origins) > 1:
            return False
        if origins[0] in allowed or "*" in allowed:
            return True
        try:
            said = urlsplit(origins[0])
            host = urlsplit("//" + ",".join(request.headers.get_all("Host")))
            default = {"http": 80, "https": 443}.get(said.scheme)
            return (
                said.hostname is not None
                and said.hostname == host.hostname
                and (said.port or default) == (host.port or default)
            )
        except ValueError:
            return False


def _token(request: Request, query: dict[str, str]) -> str:
    """The token of a handshake, from the first of the three places that has one; empty where none has."""
    for value in request.headers.get_all("Authorization"):
        scheme, _, rest = value.partition(" ")
        token = rest.strip()
        # A header without a token is no place where one was found.
        if token and scheme.lower() == "bearer":
            return token
    if query.get("token"):
        return query["token"]
    for value in request.headers.get_all("Sec-WebSocket-Protocol"):
        for offer in value.split(","):
            token = offer.strip().removeprefix(BEARER_PREFIX)
            if token and token != offer.strip():
                return token
    return ""


def _query(request: Request) -> dict[str, str]:
    """The first value of each query parameter; empty where there is no query, or it is none."""
    text = request.path.partition("?")[2]
    if not text:
        return {}
    try:
        return {name: values[0] for name, values in parse_qs(text, max_num_fields=16).items()}
    except ValueError:
        return {}


def denial_bytes(denial: Denial) -> bytes:
    """The whole HTTP answer of a request that is not upgraded; the connection ends with it."""
    body = msgspec.json.encode({"error": denial.code, "message": denial.message})
    phrase = PHRASES.get(denial.status, "Refused")
    lines = [
        f"HTTP/1.1 {denial.status} {phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Connection: close",
    ]
    if denial.status == 401:
        lines.append('WWW-Authenticate: Bearer realm="chatsim"')
    if denial.status == 426:
        lines.append("Upgrade: websocket")
    if denial.retry_after_s:
        lines.append(f"Retry-After: {denial.retry_after_s}")
    return "\r\n".join([*lines, "", ""]).encode() + body


PHRASES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    426: "Upgrade Required",
    503: "Service Unavailable",
}
