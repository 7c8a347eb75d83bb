"""The HTTP routes of the session service: opening, looking, adding, removing, ending, history, the server's own word.

Decides who may: participants, and for everything but looking and reading the administrator too. A token that names its
sessions opens no others. Rule: what was judged is acted upon before anything else happens, without an `await` between.
An order is answered as done when the log has it. What a session is, and what an order does, is the handler's.
"""

from __future__ import annotations

import asyncio
import secrets

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from chatsim.core.effects import Record
from chatsim.core.service import Standing
from chatsim.core.sessions import is_own
from chatsim.core.tokens import Claims
from chatsim.live.answers import Bouncer, DeniedError, json_answer, kept, name_in, number_in, read, unkept
from chatsim.live.gate import Gate
from chatsim.live.routes import (
    PAGE_BYTES_MAX,
    PAGE_DEFAULT,
    PAGE_MAX,
    History,
    ParticipantOrder,
    PastMessage,
    Post,
    Posted,
    SessionMade,
    SessionOrder,
    SessionView,
)

ENVELOPE_BYTES = 1024
"""What a body may have around the message that it carries."""

AT_ONCE = 20
"""Messages that are read from the log in one go, so that few are read in vain where they are large."""

_session_order = msgspec.json.Decoder(SessionOrder)
_participant_order = msgspec.json.Decoder(ParticipantOrder)
_post = msgspec.json.Decoder(Post)


class SessionRoutes:
    """The routes of one server; their names are those of the table."""

    def __init__(self, gate: Gate, bouncer: Bouncer) -> None:
        self._config = gate.config
        self._driver = gate.driver
        self._bouncer = bouncer

    async def open_session(self, request: Request) -> Response:
        """`POST /api/sessions`: a session with these participants, opened and stored."""
        claims = self._bouncer.either(request)
        order = await read(request, _session_order)
        opener = None if claims is None else claims.sub
        people = tuple(dict.fromkeys((*(() if opener is None else (opener,)), *order.participants)))
        if not people:
            raise DeniedError(400, "bad_request", "a session needs a participant")
        if len(people) > self._config.participants_max:
            raise DeniedError(
                409, "session_full", f"a session has at most {self._config.participants_max} participants"
            )
        most = self._config.sessions_per_user
        if opener is not None and self._driver.opened(opener) >= most:
            raise DeniedError(429, "too_many_sessions", f"you have {most} sessions open: end one first")
        name = secrets.token_hex(16)
        self._driver.open_session(name, people, order.ttl_s, opener)
        made = self._driver.standing(name)
        if made is None:
            raise DeniedError(503, "unavailable", "the server holds as many sessions as it can: try again later")
        if not await self._driver.stored():
            # Nobody has heard its name: left as it is, it would only take room.
            self._driver.end_session(name)
            raise unkept("the session could not be stored, and was not opened: try again later")
        return json_answer(201, SessionMade(name, made.expires_at))

    async def show_session(self, request: Request) -> Response:
        """`GET /api/sessions/{session}`: who takes part, until when, and how far it has come."""
        name, found = self._entered(request, self._bouncer.user(request))
        return json_answer(200, SessionView(name, found.participants, found.expires_at, found.epoch, found.seq))

    async def end_session(self, request: Request) -> Response:
        """`DELETE /api/sessions/{session}`: its end, for every participant to order."""
        name = await self._ending(request)
        self._driver.end_session(name)
        await kept(self._driver)
        return Response(status_code=204)

    async def add_participant(self, request: Request) -> Response:
        """`POST /api/sessions/{session}/participants`: one more, for every participant to order."""
        claims = self._bouncer.either(request)
        order = await read(request, _participant_order)
        name, found = self._changeable(request, claims)
        if order.user not in found.participants and len(found.participants) >= self._config.participants_max:
            raise DeniedError(
                409, "session_full", f"a session has at most {self._config.participants_max} participants"
            )
        self._driver.add_participant(name, order.user)
        await kept(self._driver)
        return Response(status_code=204)

    async def remove_participant(self, request: Request) -> Response:
        """`DELETE /api/sessions/{session}/participants/{user}`: one less, by the same people."""
        name = await self._ending(request)
        self._driver.remove_participant(name, name_in(request, "user"))
        await kept(self._driver)
        return Response(status_code=204)

    async def history(self, request: Request) -> Response:
        """`GET /api/sessions/{session}/messages`: a page of what was said, oldest first."""
        claims = self._bouncer.user(request)
        after = number_in(request, "after", 0, 0)
        limit = number_in(request, "limit", PAGE_DEFAULT, 1)
        name, found = self._entered(request, claims)
        records = self._page(name, after, min(limit, PAGE_MAX))
        return json_answer(200, History([_past(record) for record in records], found.epoch, found.seq))

    def _page(self, name: str, after: int, limit: int) -> list[Record]:
        """The next messages, as many as a page holds; no more than a handful beyond it are read for it."""
        page: list[Record] = []
        size = 0
        while True:
            asked = min(AT_ONCE, limit - len(page))
            found = self._driver.history(name, page[-1].seq if page else after, asked)
            for record in found:
                size += len(bytes(record.body))
                if page and size > PAGE_BYTES_MAX:
                    return page
                page.append(record)
            if len(found) < asked or len(page) == limit:
                return page

    async def post(self, request: Request) -> Response:
        """`POST /api/users/{user}/messages`: a message from `@server`, for the admin key."""
        self._bouncer.admin(request)
        user = name_in(request, "user")
        bytes_max = self._config.message_bytes_max
        order = await read(request, _post, bytes_max + ENVELOPE_BYTES)
        if len(bytes(order.body)) > bytes_max:
            raise DeniedError(413, "too_large", f"a message has at most {bytes_max} bytes")
        stored: asyncio.Future[Record | None] = asyncio.get_running_loop().create_future()

        def answered(record: Record | None) -> None:
            if not stored.done():
                stored.set_result(record)

        self._driver.post(user, order.body, answered)
        record = await stored
        if record is None:
            raise DeniedError(503, "unavailable", "the message cannot be taken now: try again later")
        return json_answer(202, Posted(record.message_id, record.seq))

    # Who may.

    def _entered(self, request: Request, claims: Claims | None) -> tuple[str, Standing]:
        """The session of the path, for one of its participants or (None) the administrator."""
        name = name_in(request, "session")
        found = self._driver.standing(name)
        if found is None:
            raise DeniedError(404, "no_such_session", "no such session")
        if claims is not None:
            named = claims.sessions is None or name in claims.sessions or is_own(name)
            if claims.sub not in found.participants or not named:
                raise DeniedError(403, "not_a_participant", "not a participant of this session")
        return name, found

    def _changeable(self, request: Request, claims: Claims | None) -> tuple[str, Standing]:
        name, found = self._entered(request, claims)
        if is_own(name):
            raise DeniedError(400, "bad_request", "a user's own session is neither ended nor shared")
        return name, found

    async def _ending(self, request: Request) -> str:
        """The session of an order that ends something; nothing else happens between the judgement and what follows.

        Whoever says it once more is refused for having said it before: that too is answered when it is stored.
        """
        claims = self._bouncer.either(request)
        try:
            return self._changeable(request, claims)[0]
        except DeniedError:
            await kept(self._driver)
            raise


def _past(record: Record) -> PastMessage:
    return PastMessage(
        message_id=record.message_id,
        session=record.session,
        epoch=record.epoch,
        seq=record.seq,
        sender=record.sender,
        body=record.body,
        sent_at=record.sent_at,
    )
