"""The client library: a chat over a real WebSocket, for a program or a person.

Decides nothing of the protocol: `chatsim.core.client` does, and this is its shell. It feeds it dated inputs, does what
it asks for, and gives the person what it shows.
Rules: the token is in no log and no exception. Messages are never dropped: when nobody reads them, nothing more is read
from the socket, so that they wait at the server, which may close (4000, 4001) and resume. Notices are dropped, the
oldest first. Messages that wait for their ack are bounded, and who says more waits.
"""

from __future__ import annotations

import asyncio
import inspect
import secrets
import ssl as tls
import time
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from math import inf
from typing import Any, Literal, TypeAlias, TypeVar
from urllib.parse import urlsplit

import msgspec
from websockets.exceptions import InvalidURI
from websockets.uri import parse_uri

from chatsim.core import frames
from chatsim.core.client import ChatClient, ClientConfig, told_s
from chatsim.core.effects import ClientEffects, Dial, HangUp, Renew, Show, Transmit
from chatsim.core.frames import Ack, Error, Joined, Left, Welcome
from chatsim.errors import (
    ChatClosedError,
    ChatError,
    JoinRefusedError,
    MessageRefusedError,
    RateLimitedError,
    TokenRefusedError,
    UnreachableError,
    UsageError,
)
from chatsim.live import asking
from chatsim.live.calendar import Calendar
from chatsim.live.line import Line
from chatsim.live.news import Connected, Disconnected, Event, Message, Notice, RenewalFailed, Said, message_of
from chatsim.live.peer import ABNORMAL, Peer, resuming
from chatsim.network.link import Link

Token: TypeAlias = str | Callable[[], str | Awaitable[str]]
"""A token, or what fetches a new one each time it is called."""

DIAL_S_MAX = 10.0
OPEN_S_MAX = 20.0
FETCH_S_MAX = 30.0
MESSAGES_MAX = 1024
"""Messages that wait to be read; with more, nothing is read from the socket until half of them are gone."""

EVENTS_MAX = 1024
SAYING_MAX = 256
"""Messages that wait for their ack; who says more waits until one is acked."""

_TOKEN_CLOSES = {4500: "token_invalid", 4501: "token_revoked"}


T = TypeVar("T")


@asynccontextmanager
async def connect(
    url: str, *, token: Token | None = None, ssl: tls.SSLContext | None = None, config: ClientConfig | None = None
) -> AsyncIterator[Chat]:
    """A chat with the server at `url` (`wss://host/ws`), closed at the end of the block.

    `token` is a JWT, or a function (plain or async) that fetches a new one; without it the URL has one. `ssl` is the
    TLS context of `wss`, by default one that checks the server's certificate against those of this machine.
    The first connection that fails is told at once; later ones come back by themselves.
    Raises UsageError for what is no such URL or no token, TokenRefusedError, UnreachableError, or what the token's
    function raises.
    """
    chat = Chat(url, token=token, ssl=ssl, config=config or ClientConfig())
    try:
        await chat._open()
        yield chat
    finally:
        await chat.close()


class Chat:
    """One device of one user; made by `connect`. Iterate over it for the messages.

    All that waits for the server (`join`, `say`, `leave`) goes on over reconnections; put `asyncio.timeout` around it
    to wait no longer. Once the chat is over, each raises the ChatError that ended it.
    """

    def __init__(self, url: str, *, token: Token | None, ssl: tls.SSLContext | None, config: ClientConfig) -> None:
        self._url, self._host, self._port, self._tls = _address(url, ssl)
        self._source = token if callable(token) else None
        self._token = None if callable(token) or token is None else asking.check_token(token)
        seed = secrets.randbits(62)
        renewing = msgspec.structs.replace(config, renews=self._source is not None)
        self._client = ChatClient(renewing, user="", seed=seed)
        self._calendar = _Clock(self)
        self._peer: Peer[None] | None = None
        self._closing: Peer[None] | None = None
        self._messages: Line[Message] = Line(MESSAGES_MAX)
        self._events: Line[Event] = Line(EVENTS_MAX)
        self._says: dict[str, asyncio.Future[Said]] = {}
        self._joins: dict[str, list[asyncio.Future[Joined]]] = {}
        self._leaves: dict[str, list[asyncio.Future[None]]] = {}
        self._room = asyncio.Semaphore(SAYING_MAX)
        self._first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[None]] = set()
        self._prefix = secrets.token_hex(8)
        self._count = 0
        self._serial = 0
        self._armed_at = inf
        self._bytes_max = 0
        self._paused = False
        self._leaves_now = False
        self._over: ChatError | None = None
        self._why: ChatError = ChatClosedError("The chat was closed.", 1000)
        self._network = ""

    # What the person does.

    @property
    def user(self) -> str:
        """Whose chat this is, as the server says."""
        return self._client.user

    @property
    def connected(self) -> bool:
        """Whether there is a connection at this moment."""
        return bool(self._client.connection)

    async def join(self, session: str) -> Joined:
        """Be in the session, now and after every reconnection; returns its `epoch`, `seq`, `recovered` and
        `participants`.

        Raises JoinRefusedError where the server does not let this user in, and ValueError for what is no name.
        """
        self._check(session)
        with self._asking(self._joins, session) as answer:
            self._do(self._client.join(self._now(), session))
            try:
                return await answer
            except asyncio.CancelledError:
                if not self._client.joined(session) and self._over is None:
                    self._do(self._client.leave(self._now(), session))
                raise

    async def leave(self, session: str) -> None:
        """Be in the session no more; returns when the server knows, or when there is no connection that it would have
        to be told on."""
        self._check(session)
        with self._asking(self._leaves, session) as answer:
            self._do(self._client.leave(self._now(), session))
            self._settle("left")
            await answer

    async def say(self, session: str, body: Any) -> Said:
        """Write `body` (text, or any JSON value) to the session; returns when the server has stored it.

        Raises RateLimitedError with `retry_after_s`, and MessageRefusedError where the server will not have it. Before
        anything is sent it raises MessageTooLargeError for more bytes than the server takes, and ValueError for what
        is no name, or no JSON, or nested over 511 levels deep. One that is cancelled while it waits may have been sent
        all the same.
        """
        self._check(session)
        self._count += 1
        frame = asking.say(f"{self._prefix}-{self._count}", session, body, self._bytes_max)
        async with self._room:
            self._check(session)
            answer: asyncio.Future[Said] = asyncio.get_running_loop().create_future()
            self._says[frame.id] = answer
            try:
                self._do(self._client.say(self._now(), frame.id, session, frame.body))
                return await answer
            finally:
                del self._says[frame.id]
                self._client.withdraw(self._now(), frame.id)

    async def typing(self, session: str, active: bool = True) -> None:
        """Tell the others that something is being typed; while there is no connection nobody is told."""
        self._check(session)
        self._do(self._client.typing(self._now(), session, active))

    async def presence(self, state: Literal["online", "away"]) -> None:
        """Tell the others `online` or `away`; while there is no connection nobody is told."""
        if state not in ("online", "away"):
            raise ValueError("presence is online or away")
        self._check("@")
        self._do(self._client.presence(self._now(), state))

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        """The next message, once and in order. Ends after `close`; raises the ChatError that ended the chat."""
        message = await self._messages.get()
        if self._paused and 2 * len(self._messages) <= self._messages.size:
            self._paused = False
            self._client.heard(self._now())
            if self._peer is not None:
                self._peer.read_on(True)
        return message

    async def events(self) -> AsyncIterator[Event]:
        """What is told beside messages: delivered, undelivered, typing, presence, joined, left, connected and more."""
        while True:
            try:
                yield await self._events.get()
            except (StopAsyncIteration, ChatError):
                return

    async def close(self) -> None:
        """Go, and do not come back. Harmless when it is over already."""
        if self._over is None:
            self._leaves_now = True
            self._why = ChatClosedError("The chat was closed.", 1000)
            self._do(self._client.hang_up(self._now()))
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))
        for peer in (self._peer, self._closing):
            if peer is not None:
                await self._gone(peer)
        self._peer = self._closing = None
        self._calendar.stop()

    # The shell: time.

    async def _open(self) -> None:
        """Come in for the first time."""
        self._calendar.begin()
        self._do(self._client.start(self._now()))
        try:
            async with asyncio.timeout(OPEN_S_MAX):
                await self._first
        except TimeoutError:
            raise UnreachableError(
                f"The server at {self._host} port {self._port} took the connection and said nothing."
            ) from None

    def _now(self) -> float:
        return self._calendar.now()

    def _arm(self, now: float) -> None:
        wake_at = self._client.wake_at()
        if wake_at < self._armed_at:
            self._armed_at = wake_at
            self._calendar.at(max(wake_at, now), self._wake, wake_at)

    def _wake(self, now: float, armed_at: float, _: Any) -> None:
        if armed_at != self._armed_at:
            return
        self._armed_at = inf
        if self._paused:
            # Who does not listen cannot tell that the server is silent.
            self._client.heard(now)
        self._do(self._client.wake(now))

    # The shell: effects.

    def _do(self, effects: ClientEffects) -> None:
        """Do what the client asks for, in order."""
        now = self._now()
        for effect in effects:
            if isinstance(effect, Show):
                self._show(effect.message)
            elif isinstance(effect, Transmit):
                if self._peer is not None:
                    self._peer.send(frames.encode(effect.message))
            elif isinstance(effect, Dial):
                self._serial += 1
                self._calendar.at(now + effect.after_s, self._dial, self._serial)
            elif isinstance(effect, Renew):
                self._calendar.at(now + effect.after_s, self._renew)
            elif isinstance(effect, HangUp):
                self._hang_up(effect)
        if self._client.state == "idle" and self._over is None:
            self._finish(self._why)
        self._arm(now)

    def _hang_up(self, effect: HangUp) -> None:
        peer, self._peer = self._peer, None
        if peer is not None:
            self._closing = peer
            peer.close(effect.code)
            self._lost(effect.code, effect.reason)

    def _dial(self, now: float, serial: int, _: Any) -> None:
        if serial != self._serial or self._client.state != "waiting":
            return
        url = resuming(self._url, self._client.former)
        peer = self._peer = Peer[None](self, self._calendar, None, url, self._token, (Link(), Link()))
        self._start(self._dialled(peer), "the dial")

    async def _dialled(self, peer: Peer[None]) -> None:
        try:
            async with asyncio.timeout(DIAL_S_MAX):
                loop = asyncio.get_running_loop()
                await loop.create_connection(lambda: peer, self._host, self._port, ssl=self._tls)
        except (OSError, TimeoutError) as problem:
            self._network = _short(problem)
            if not peer.done:
                peer.done = True
                self.refused(self._now(), peer, 0, None)

    def _renew(self, now: float, *_: Any) -> None:
        self._start(self._renewed(), "the renewal")

    async def _renewed(self) -> None:
        assert self._source is not None
        try:
            async with asyncio.timeout(FETCH_S_MAX):
                found = self._source()
                token = asking.check_token(await found if inspect.isawaitable(found) else found)
        except Exception as problem:
            if not self._first.done():
                # The caller of `connect` is there to be told what went wrong in her own function.
                self._first.set_exception(problem)
                return
            self._events.push(RenewalFailed(problem))
            self._do(self._client.renewal_failed(self._now()))
        else:
            self._token = token
            self._do(self._client.renewed(self._now(), token, _expires_in_s(token, time.time())))

    def _start(self, work: Any, what: str) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work, name=f"{what} of a chat")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # The shell: what the wire says.

    def opened(self, now: float, peer: Peer[None]) -> None:
        """The server accepted the handshake."""
        if peer is not self._peer:
            peer.close(1000)
            return
        if self._paused:
            peer.read_on(False)
        self._do(self._client.opened(now))

    def refused(self, now: float, peer: Peer[None], status: int, retry_after_s: float | None) -> None:
        """The server, or the network, did not."""
        if peer is not self._peer:
            return
        self._peer = None
        self._why = self._refusal(status, peer.error)
        effects = self._client.refused(now, status, retry_after_s)
        if not self._first.done() and status not in (401, 403):
            self._finish(self._why)
        self._do(effects if self._over is None else ())

    def text(self, now: float, peer: Peer[None], data: bytes) -> None:
        """One text frame arrived."""
        if peer is not self._peer:
            return
        try:
            frame = frames.decode_server(data)
        except frames.UNREADABLE:
            # Something newer than this client: a sign of life, and nothing else.
            self._client.heard(now)
            return
        self._do(self._client.receive(now, frame))

    def pinged(self, now: float, peer: Peer[None]) -> None:
        """A ping arrived, and was answered."""
        self._client.heard(now)

    def closed(self, now: float, peer: Peer[None], code: int) -> None:
        """The connection ended."""
        if peer is not self._peer:
            return
        self._peer, self._closing = None, peer
        self._why = _closed(code, peer.reason)
        effects = self._client.closed(now, code)
        self._lost(code, peer.reason or ("the connection broke" if code == ABNORMAL else ""))
        self._do(effects)

    def _lost(self, code: int, reason: str) -> None:
        self._events.push(Disconnected(code, reason))
        self._settle("left")

    # The shell: what the person is shown.

    def _show(self, frame: frames.ServerFrame) -> None:
        if isinstance(frame, frames.Message):
            self._message(frame)
        elif isinstance(frame, Ack):
            said = Said(message_id=frame.message_id, session=frame.session, epoch=frame.epoch, seq=frame.seq)
            _answer(self._says.get(frame.id), said)
        elif isinstance(frame, Error) and isinstance(frame.id, str):
            if not self._client.pending(frame.id):
                _fail(self._says.get(frame.id), _refused_message(frame))
        elif isinstance(frame, Welcome):
            self._bytes_max = frame.message_bytes_max
            self._events.push(Connected(frame.connection))
            _answer(self._first, None)
        elif not isinstance(frame, frames.Heartbeat):
            self._notice(frame)

    def _notice(self, frame: Notice) -> None:
        self._events.push(frame)
        if isinstance(frame, Joined):
            for answer in self._joins.get(frame.session, ()):
                _answer(answer, frame)
        elif isinstance(frame, Error):
            self._settle(frame.code)
        elif isinstance(frame, Left):
            self._settle(frame.reason)

    def _message(self, frame: frames.Message) -> None:
        self._messages.put(message_of(frame))
        if self._messages.full and not self._paused:
            self._paused = True
            if self._peer is not None:
                self._peer.read_on(False)

    def _settle(self, code: str) -> None:
        """Answer who waits for a join that will not be, or for a leave that is done."""
        for session, joins in self._joins.items():
            if not self._client.wants(session):
                for join in joins:
                    _fail(join, JoinRefusedError(f"The session {session!r} cannot be joined: {code}.", session, code))
        for session, leaves in self._leaves.items():
            if not self._client.leaving(session):
                for leave in leaves:
                    _answer(leave, None)

    def _refusal(self, status: int, code: str) -> ChatError:
        """Why a dial failed, in a sentence."""
        where = f"{self._host} port {self._port}"
        if status in (401, 403):
            code = code or "token_invalid"
            return TokenRefusedError(f"The server at {where} lets nobody in with this token: {code}.", code)
        if status == 0:
            return UnreachableError(
                f"No server can be reached at {where}: {self._network or 'the connection was cut'}."
            )
        if code in ("overloaded", "draining"):
            return UnreachableError(f"The server at {where} takes nobody in now ({code}): try again later.")
        return UnreachableError(f"What answers at {where} is no chat server: HTTP status {status}.")

    # Endings.

    def _check(self, session: str) -> None:
        if self._over is not None:
            raise self._over
        asking.check_name(session)

    @contextmanager
    def _asking(self, asked: dict[str, list[asyncio.Future[T]]], session: str) -> Iterator[asyncio.Future[T]]:
        """A question about a session that waits for its answer."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        asked.setdefault(session, []).append(answer)
        try:
            yield answer
        finally:
            asked[session].remove(answer)
            if not asked[session]:
                del asked[session]

    def _finish(self, problem: ChatError) -> None:
        """The chat is over: who waits is told, and who reads the messages too unless she ended it herself."""
        self._over = problem
        _fail(self._first, problem)
        for say in self._says.values():
            _fail(say, problem)
        for joins in self._joins.values():
            for join in joins:
                _fail(join, problem)
        for leaves in self._leaves.values():
            for leave in leaves:
                _answer(leave, None)
        self._messages.end(None if self._leaves_now else problem)
        self._events.end()

    async def _gone(self, peer: Peer[None]) -> None:
        """Wait until the transport is closed, which the peer's own patience bounds."""
        if not peer.done:
            peer.abort()
        if not peer.lost:
            gone = asyncio.Event()
            peer.on_lost = gone.set
            await gone.wait()


class _Clock(Calendar):
    """The chat's timer, whose failure ends the chat."""

    def __init__(self, chat: Chat) -> None:
        super().__init__(asyncio.get_running_loop(), sampled=False)
        self._chat = chat

    def fail(self, problem: Exception) -> None:
        super().fail(problem)
        if self._chat._over is None:
            self._chat._finish(ChatClosedError(f"The client failed: {type(problem).__name__}.", ABNORMAL))


def _address(url: str, context: tls.SSLContext | None) -> tuple[str, str, int, tls.SSLContext | None]:
    """The URL, its host and port, and how to speak TLS there. The text of an error leaves out the query: it may hold a
    token."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
        parts = urlsplit("")
    if parts.scheme not in ("ws", "wss") or not host or parts.username is not None or not _dialable(url):
        raise UsageError("That is no address of a chat server: write one like wss://host/ws.")
    if parts.scheme == "ws":
        return url, host, port or 80, None
    if context is None:
        context = tls.create_default_context()
        context.minimum_version = tls.TLSVersion.TLSv1_2
    return url, host, port or 443, context


def _dialable(url: str) -> bool:
    try:
        parse_uri(url)
    except InvalidURI:
        return False
    return True


def _expires_in_s(token: str, wall: float) -> float:
    """How long a JWT is good by its own word (s); inf where it does not say."""
    try:
        payload = token.split(".")[1]
        claims = msgspec.json.decode(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"]) - wall
    except (IndexError, KeyError, TypeError, ValueError, RecursionError, OverflowError):
        return inf


def _closed(code: int, reason: str) -> ChatError:
    """The end of a chat, in a sentence."""
    if code in _TOKEN_CLOSES:
        return TokenRefusedError(f"The server ended the chat: {reason or 'the token is no good'}.", _TOKEN_CLOSES[code])
    return ChatClosedError(f"The server ended the chat with {code}: {reason or 'no reason was given'}.", code)


def _refused_message(frame: Error) -> MessageRefusedError:
    wait_s = told_s(frame.retry_after_ms) if isinstance(frame.retry_after_ms, int) else None
    kind = RateLimitedError if frame.code in ("rate_limited", "frame_rate") else MessageRefusedError
    return kind(f"The message was refused: {frame.message} ({frame.code}).", frame.code, wait_s)


def _short(problem: BaseException) -> str:
    """What went wrong on the way, in few words."""
    if isinstance(problem, tls.SSLCertVerificationError):
        return f"its certificate is not to be trusted ({problem.verify_message})"
    if isinstance(problem, TimeoutError):
        return "no answer in time"
    return getattr(problem, "strerror", None) or type(problem).__name__


def _answer(future: asyncio.Future[T] | None, value: T) -> None:
    if future is not None and not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[T] | None, problem: Exception) -> None:
    if future is not None and not future.done():
        future.set_exception(problem)
