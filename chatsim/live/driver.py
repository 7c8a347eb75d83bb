"""The asyncio shell around a handler: dated inputs in, effects performed in order.

Decides nothing about chat: it takes `now` from its loop's clock, calls the handler, performs what comes back, and
keeps one timer for the whole server. Each frame is encoded and framed once, however many it goes to.
Rule: inputs reach the handler one at a time, in the order of the journal; `now` never goes back; no token comes here.
When bytes are written is left to `chatsim.live.outlets`, sockets, handshakes and parsing to `chatsim.live.protocol`;
nothing here knows whether the clock is real.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from typing import Any, Protocol

from chatsim.core.effects import Append, Close, Effect, Effects, Note, Ping, Record, Send, Tell, Watch
from chatsim.core.frames import Body, ClientFrame, Delivered, Fault, ServerFrame, encode
from chatsim.core.histogram import Histogram
from chatsim.core.service import Standing
from chatsim.core.tokens import Claims
from chatsim.live.deflate import PACKED_FROM_BYTES, pack
from chatsim.live.events import Often, tell
from chatsim.live.framing import PING_FRAME, text_frame
from chatsim.live.log import LATER, Log
from chatsim.live.outlets import CLOSE_TIMEOUT_S, OUTBOUND_BYTES, OUTBOUND_FRAMES, Outlet, Outlets
from chatsim.telemetry.figures import LAG_EDGES_S

LAG_INTERVAL_S = 0.1
"""How often the loop's lag is sampled, once asked for."""

LAG_SAMPLES_MAX = 36_000
"""One hour of samples; the older ones are dropped."""

TOO_SLOW = 4000

ABNORMAL = 1006
"""Stands for the end of a connection without a close (RFC 6455, 7.1.5)."""


class Handler(Protocol):
    """What the driver asks of `chatsim.core.handler.ChatHandler`."""

    def connect(self, now: float, conn: str, claims: Claims) -> Effects: ...
    def disconnect(self, now: float, conn: str) -> Effects: ...
    def receive(self, now: float, conn: str, frame: ClientFrame) -> Effects: ...
    def malformed(self, now: float, conn: str, code: str, detail: str) -> Effects: ...
    def pong(self, now: float, conn: str) -> Effects: ...
    def refresh(self, now: float, conn: str, claims: Claims) -> Effects: ...
    def refuse_refresh(self, now: float, conn: str, code: str) -> Effects: ...
    def pressure(self, now: float, conn: str, queued_bytes: int, queued_frames: int) -> Effects: ...
    def appended(self, now: float, record: Record) -> Effects: ...
    def append_failed(self, now: float, record: Record) -> Effects: ...
    def told(self, now: float, session: str, message: ServerFrame) -> Effects: ...
    def revoke(self, now: float, jti: str | None, user: str | None) -> Effects: ...
    def open_session(
        self, now: float, session: str, participants: tuple[str, ...], ttl_s: float | None, opener: str | None
    ) -> Effects: ...
    def add_participant(self, now: float, session: str, user: str) -> Effects: ...
    def remove_participant(self, now: float, session: str, user: str) -> Effects: ...
    def end_session(self, now: float, session: str) -> Effects: ...
    def post(self, now: float, user: str, id_: str, body: Body) -> Effects: ...
    def drain(self, now: float) -> Effects: ...
    def clock_jump(self, now: float, by_s: float) -> Effects: ...
    def wake(self, now: float) -> Effects: ...
    def wake_at(self) -> float: ...
    def revoked(self, claims: Claims) -> bool: ...
    def revocable(self, now: float, jti: str | None, user: str | None) -> bool: ...
    def standing(self, session: str) -> Standing | None: ...
    def remembers(self, now: float, user: str, *, earlier: bool) -> bool: ...
    def opened(self, user: str) -> int: ...


class Journal(Protocol):
    """Hears of every input with the effects it had, before they are performed."""

    def step(self, now: float, door: str, args: tuple[Any, ...], effects: Effects) -> None: ...


class Driver:
    """One handler on one loop. Made and used in the loop's thread only."""

    def __init__(
        self,
        handler: Handler,
        log: Log,
        *,
        loop: asyncio.AbstractEventLoop,
        epoch: float,
        journal: Journal | None = None,
        life: int = 0,
        zero_at: float | None = None,
        close_timeout_s: float = CLOSE_TIMEOUT_S,
        outbound_frames: int = OUTBOUND_FRAMES,
        outbound_bytes: int = OUTBOUND_BYTES,
    ) -> None:
        """`epoch` is the wall time of `now` = 0, in seconds since the Unix epoch; the handler was given the same. That
        is this moment, unless `zero_at` names another of the loop's time (s).

        `life` counts the starts of a log that lasts: it becomes part of the connections' names, so that a client that
        comes back after a restart cannot name somebody else's by chance. A peer that is told to close has
        `close_timeout_s` to do so. The handler takes a reader for too slow for whom more than `outbound_frames` or
        `outbound_bytes` wait.
        """
        self.loop = loop
        self.draining = False
        self.empty = asyncio.Event()
        self.empty.set()
        self._handler = handler
        self._log = log
        self._journal = journal
        self._epoch = epoch
        self._start = loop.time() if zero_at is None else zero_at
        self._now = 0.0
        self._outlets = Outlets(
            loop,
            self._pressed,
            close_timeout_s=close_timeout_s,
            frames_max=outbound_frames,
            bytes_max=outbound_bytes,
        )
        self._todo: deque[Effects] = deque()
        self._held: dict[tuple[tuple[str, ...], str, str], list[str]] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf
        self._numbered = 0
        self._life = life
        self._prefix = f"c{life}-" if life else "c"
        self._posts: dict[str, Callable[[Record | None], None]] = {}
        self._posted = 0
        self._packing: set[str] = set()
        self._lag_due = inf
        self._lag_timer: asyncio.TimerHandle | None = None
        self._lags: deque[float] = deque(maxlen=LAG_SAMPLES_MAX)
        self.lag = Histogram(LAG_EDGES_S)
        self.departed: dict[int, int] = {}
        self.often = Often()
        self._frames_in = self._bytes_in = 0
        self._pings = self._connections_total = self._connections_peak = 0
        self._perform: dict[type[Effect], Callable[[Any], None]] = {
            Send: self._send,
            Ping: self._ping,
            Close: self._close,
            Append: self._append,
            Tell: self._tell,
            Note: self._note,
            Watch: self._watch,
        }
        self._wake_at = handler.wake_at
        if self._wake_at() < inf:
            self._rearm()

    # Time.

    def now(self) -> float:
        """Seconds since the driver's start; never goes back."""
        now = self.loop.time() - self._start
        if now > self._now:
            self._now = now
        return self._now

    def wall(self) -> float:
        """Seconds since the Unix epoch, by the driver's own clock."""
        return self._epoch + self.now()

    def _rearm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self._wake_at()
        self._timer = self.loop.call_at(self._start + self._timer_at, self._wake)

    def _wake(self) -> None:
        # A loop whose clock counts milliseconds rings up to half of one early; the handler would be woken with
        # nothing due,
        # again and again. The timer says that its moment has come, so it has.
        now = self._now = max(self.now(), self._timer_at)
        self._timer = None
        self._timer_at = inf
        self._settle(now, "wake", (), self._handler.wake(now))

    # The doors.

    def connect(self, transport: asyncio.Transport, claims: Claims, *, packs: bool = False) -> Outlet:
        """A handshake is done: the connection gets its name, and the handler hears of it.

        `packs` where it was agreed that messages may be packed.
        """
        self._numbered += 1
        outlet = self._outlets.add(f"{self._prefix}{self._numbered}", transport)
        self._connections_total += 1
        self._connections_peak = max(self._connections_peak, self.connections())
        self.empty.clear()
        if packs:
            self._packing.add(outlet.name)
            # Nobody else pays for it: as long as no peer packs, the other way is taken.
            self._perform[Send] = self._send_packed
        now = outlet.opened_at = self.now()
        tell(logging.DEBUG, "connection opened", connection=outlet.name, user=claims.sub)
        self._settle(now, "connect", (outlet.name, claims), self._handler.connect(now, outlet.name, claims))
        return outlet

    def receive(self, outlet: Outlet, frame: ClientFrame) -> None:
        """One well-formed frame from the peer."""
        now = self.now()
        self._settle(now, "receive", (outlet.name, frame), self._handler.receive(now, outlet.name, frame))

    def malformed(self, outlet: Outlet, fault: Fault) -> None:
        """Text that is no frame; the handler answers, or closes."""
        self.violated(outlet, fault.code, fault.detail)

    def violated(self, outlet: Outlet, code: str, detail: str) -> None:
        """The peer broke the protocol: `code` is a fault's, or `binary`, `bad_utf8`, `too_large`."""
        now = self.now()
        args = (outlet.name, code, detail)
        self._settle(now, "malformed", args, self._handler.malformed(now, outlet.name, code, detail))

    def pong(self, outlet: Outlet) -> None:
        """The peer gave a sign of life that is no frame of the protocol."""
        now = self.now()
        self._settle(now, "pong", (outlet.name,), self._handler.pong(now, outlet.name))

    def refresh(self, outlet: Outlet, claims: Claims) -> None:
        """The peer sent a new token, and it is good."""
        now = self.now()
        self._settle(now, "refresh", (outlet.name, claims), self._handler.refresh(now, outlet.name, claims))

    def refuse_refresh(self, outlet: Outlet, code: str) -> None:
        """The peer sent a new token, and it is refused with this code."""
        now = self.now()
        self._settle(now, "refuse_refresh", (outlet.name, code), self._handler.refuse_refresh(now, outlet.name, code))

    def revoke(self, jti: str | None = None, user: str | None = None) -> bool:
        """A token, or all of a user's, are good no more: their connections are closed. False where that cannot be
        remembered, and so was not done."""
        now = self.now()
        if not self._handler.revocable(now, jti, user):
            return False
        self._settle(now, "revoke", (jti, user), self._handler.revoke(now, jti, user))
        return True

    def open_session(
        self, session: str, participants: tuple[str, ...], ttl_s: float | None, opener: str | None
    ) -> None:
        """A session for these users, for so many seconds (None: until it is ended), by order of `opener`."""
        now = self.now()
        effects = self._handler.open_session(now, session, participants, ttl_s, opener)
        self._settle(now, "open_session", (session, participants, ttl_s, opener), effects)

    def add_participant(self, session: str, user: str) -> None:
        """The user takes part from now on."""
        now = self.now()
        self._settle(now, "add_participant", (session, user), self._handler.add_participant(now, session, user))

    def remove_participant(self, session: str, user: str) -> None:
        """The user takes part no more."""
        now = self.now()
        self._settle(now, "remove_participant", (session, user), self._handler.remove_participant(now, session, user))

    def end_session(self, session: str) -> None:
        """The session is over."""
        now = self.now()
        self._settle(now, "end_session", (session,), self._handler.end_session(now, session))

    async def stored(self) -> bool:
        """Whether the log has all that came of the orders so far; False where it cannot take it now. What was ordered
        is in force all the same, and is stored when the log is well again."""
        answer: asyncio.Future[bool] = self.loop.create_future()

        def answered(good: bool) -> None:
            # Whoever asked may be gone.
            if not answer.done():
                answer.set_result(good)

        self._log.settled(answered)
        return await answer

    def post(self, user: str, body: Body, answered: Callable[[Record | None], None]) -> None:
        """A message of the server to all connections of a user; `answered` is called once, with the record as the log
        has it, or None where it was not taken."""
        self._posted += 1
        name = f"p{self._posted}"
        self._posts[name] = answered
        now = self.now()
        effects = self._handler.post(now, user, name, body)
        self._settle(now, "post", (user, name, body), effects)
        if not effects:
            self._answer_post(name, None)

    def drain(self) -> None:
        """Take nobody in any more, and let the handler close everyone, spread over its window."""
        if self.draining:
            return
        self.draining = True
        now = self.now()
        self._settle(now, "drain", (), self._handler.drain(now))

    def clock_jump(self, by_s: float) -> None:
        """The node's wall clock was set so far ahead (back, if negative); `now` goes on as before."""
        # What is due at this moment is due by the clock as it was.
        if self._timer is not None and self._timer_at <= self.now():
            self._timer.cancel()
            self._wake()
        now = self.now()
        self._epoch += by_s
        self._settle(now, "clock_jump", (by_s,), self._handler.clock_jump(now, by_s))

    def logged(self, stored: Sequence[Record], failed: Sequence[Record]) -> None:
        """A log that answers later has stored these records, and could not take those."""
        for record in stored:
            now = self.now()
            self._settle(now, "appended", (record,), self._handler.appended(now, record))
            if not record.conn:
                self._answer_post(record.id, record)
        for record in failed:
            now = self.now()
            self.often.tell(now, logging.ERROR, "log failed", session=record.session)
            self._settle(now, "append_failed", (record,), self._handler.append_failed(now, record))
            if not record.conn:
                self._answer_post(record.id, None)

    def leave(self, outlet: Outlet, code: int = ABNORMAL) -> None:
        """The peer closes, or has broken the framing: the handler forgets it; what is queued may still be flushed."""
        if outlet.closing:
            return
        outlet.closing = True
        self.departed[code] = self.departed.get(code, 0) + 1
        now = self.now()
        self._tell_end(outlet, code)
        self._settle(now, "disconnect", (outlet.name,), self._handler.disconnect(now, outlet.name))

    def lost(self, outlet: Outlet) -> None:
        """The transport is gone."""
        self.leave(outlet)
        self._outlets.remove(outlet)
        if self._packing:
            self._packing.discard(outlet.name)
            if not self._packing:
                self._perform[Send] = self._send
        if not self.connections():
            self.empty.set()

    def paused(self, outlet: Outlet) -> None:
        """The transport holds as much as it should: what follows waits here."""
        self._outlets.paused(outlet)

    def resumed(self, outlet: Outlet) -> None:
        """The transport is empty again."""
        self._outlets.resumed(outlet)
        if outlet.pressed and not outlet.closing:
            outlet.pressed = False
            now = self.now()
            self._settle(now, "pressure", (outlet.name, 0, 0), self._handler.pressure(now, outlet.name, 0, 0))

    def knew(self, name: str, user: str) -> bool:
        """Whether the user may have had a connection of this name, in this life or, as far as can be told, in an
        earlier one."""
        life, dash, number = name[1:].rpartition("-")
        if name[:1] != "c" or not _is_number(number) or not (_is_number(life) if dash else True):
            return False
        of = int(life or "0")
        given = int(number) <= self._numbered if of == self._life else 0 < of < self._life
        return given and self._handler.remembers(self.now(), user, earlier=of != self._life)

    def revoked(self, claims: Claims) -> bool:
        """Whether a token that is good in every other way was revoked."""
        return self._handler.revoked(claims)

    def standing(self, session: str) -> Standing | None:
        """What a session is, None where there is none."""
        return self._handler.standing(session)

    def opened(self, user: str) -> int:
        """How many sessions the user has opened that are not over."""
        return self._handler.opened(user)

    def history(self, session: str, after: int, limit: int) -> list[Record]:
        """Stored messages with a seq above `after`, oldest first."""
        return self._log.history(session, after, limit)

    def connections(self) -> int:
        """How many are connected, those that are closing included."""
        return len(self._outlets.by_name)

    def open(self) -> list[str]:
        """The names of the connections that are open, those that are closing not included."""
        return [name for name, outlet in self._outlets.by_name.items() if not outlet.closing]

    def reply(self, outlet: Outlet, data: bytes) -> None:
        """Send what the WebSocket layer itself answers, in its turn."""
        self._outlets.queue((outlet.name,), data)

    def flush(self, outlet: Outlet) -> None:
        """Write what is queued for one connection now."""
        self._outlets.flush(outlet)

    def heard(self, frames: int, size_bytes: int) -> None:
        """Count what came in."""
        self._frames_in += frames
        self._bytes_in += size_bytes

    def hang_up(self, outlet: Outlet, code: int, reason: str) -> None:
        """Close without the handler's having asked: the framing is broken, or the server ends."""
        self.leave(outlet, code)
        self._outlets.shut(outlet, code, reason)

    # Effects.

    def _settle(self, now: float, door: str, args: tuple[Any, ...], effects: Effects) -> None:
        """Journal one input, and perform its effects and those of the inputs that they lead to."""
        if self._journal is not None:
            self._journal.step(now, door, args, effects)
        perform = self._perform
        todo = self._todo
        while True:
            for effect in effects:
                perform[type(effect)](effect)
            if not todo:
                break
            effects = todo.popleft()
        # A timer that rings too early costs one call; only one that would ring too late must be replaced.
        if self._wake_at() < self._timer_at:
            self._rearm()

    def _follow(self, now: float, door: str, args: tuple[Any, ...], effects: Effects) -> None:
        """Journal an input that an effect led to; its own effects wait their turn, so that nothing recurses."""
        if self._journal is not None:
            self._journal.step(now, door, args, effects)
        if effects:
            self._todo.append(effects)

    def hold(self) -> None:
        """What follows comes of several frames read at once, however often that is said: one turn, until `release`."""
        if self._held is None:
            self._held = {}

    def release(self) -> None:
        """The turn is over: whoever has several messages of a sender by now is told of in one frame."""
        held, self._held = self._held or {}, None
        for (to, session, user), message_ids in held.items():
            notice = Delivered(session=session, user=user, message_ids=tuple(message_ids))
            self._perform[Send](Send(to, notice))

    def _keeps(self, to: tuple[str, ...], message: ServerFrame) -> bool:
        """Whether the frame is kept for more of its kind: until the end of the turn, or until something else is said,
        since what was said first is to be heard first."""
        if self._held is None:
            return False
        if type(message) is not Delivered:
            self._let_go()
            return False
        self._held.setdefault((to, message.session, message.user), []).extend(message.message_ids)
        return True

    def _let_go(self) -> None:
        if self._held:
            self.release()
            self.hold()

    def _send(self, effect: Send) -> None:
        message = effect.message
        if self._held is not None and self._keeps(effect.to, message):
            return
        payload = text_frame(encode(message))
        # The receiver took her time with the ack, and the sender has been told that the message is safe.
        if type(message) is Delivered:
            self._outlets.notify(self._start + self._now, effect.to, payload)
        else:
            self._outlets.send(effect.to, payload)

    def _send_packed(self, effect: Send) -> None:
        """Send one frame in two forms: packed to those who agreed to it, and as it is to the others."""
        if self._keeps(effect.to, effect.message):
            return
        payload = encode(effect.message)
        to = tuple(name for name in effect.to if name in self._packing)
        packed = pack(payload) if to and len(payload) >= PACKED_FROM_BYTES else None
        forms = [(effect.to, text_frame(payload))]
        if packed is not None:
            others = tuple(name for name in effect.to if name not in self._packing)
            forms = [(to, packed), *([(others, text_frame(payload))] if others else ())]
        for names, frame in forms:
            if type(effect.message) is Delivered:
                self._outlets.notify(self._start + self._now, names, frame)
            else:
                self._outlets.send(names, frame)

    def _ping(self, effect: Ping) -> None:
        self._pings += len(effect.to)
        self._outlets.queue(effect.to, PING_FRAME)

    def _close(self, effect: Close) -> None:
        self._let_go()
        outlet = self._outlets.by_name.get(effect.to)
        if outlet is not None and not outlet.closing:
            outlet.closing = True
            self._tell_end(outlet, effect.code)
            self._outlets.shut(outlet, effect.code, effect.reason)

    def _tell_end(self, outlet: Outlet, code: int) -> None:
        now = self._now
        open_s = now - outlet.opened_at
        if code == TOO_SLOW:
            self.often.tell(now, logging.WARNING, "slow reader closed", connection=outlet.name, open_s=open_s)
        else:
            tell(logging.DEBUG, "connection closed", connection=outlet.name, code=code, open_s=open_s)

    def _append(self, effect: Append) -> None:
        record = self._log.append(effect.record)
        if record is LATER:
            return
        # The moment of the input that it came from: what follows from one input has one date.
        now = self._now
        if record is None:
            self.often.tell(now, logging.ERROR, "log failed", session=effect.record.session)
            failed = effect.record
            self._follow(now, "append_failed", (failed,), self._handler.append_failed(now, failed))
        else:
            self._follow(now, "appended", (record,), self._handler.appended(now, record))
        if not effect.record.conn:
            self._answer_post(effect.record.id, record)

    def _answer_post(self, name: str, record: Record | None) -> None:
        answered = self._posts.pop(name, None)
        if answered is not None:
            answered(record)

    def _note(self, effect: Note) -> None:
        self._log.note(effect.fact)

    def _watch(self, effect: Watch) -> None:
        outlet = self._outlets.by_name.get(effect.to)
        if outlet is not None and not outlet.closing:
            # The flush of what has just been queued comes before.
            self.loop.call_soon(self._look, outlet)

    def _look(self, outlet: Outlet) -> None:
        """Whether nothing waits for the connection any more: if not, its transport says when."""
        if outlet.paused:
            outlet.pressed = True
        elif not outlet.closing:
            now = self.now()
            self._settle(now, "pressure", (outlet.name, 0, 0), self._handler.pressure(now, outlet.name, 0, 0))

    def _tell(self, effect: Tell) -> None:
        now = self._now
        args = (effect.session, effect.message)
        self._follow(now, "told", args, self._handler.told(now, effect.session, effect.message))

    def _pressed(self, outlet: Outlet) -> None:
        """A slow reader: the handler hears how much waits for her."""
        outlet.pressed = True
        now = self.now()
        waiting = (outlet.pending_bytes(), outlet.pending_frames())
        self._settle(now, "pressure", (outlet.name, *waiting), self._handler.pressure(now, outlet.name, *waiting))

    # What can be seen from outside.

    def watch_lag(self) -> None:
        """Sample from now on how late the loop is, every 100 ms."""
        if self._lag_due == inf:
            self._lag_due = self.loop.time() + LAG_INTERVAL_S
            self._lag_timer = self.loop.call_at(self._lag_due, self._sample_lag)

    def _sample_lag(self) -> None:
        time = self.loop.time()
        lag_s = max(0.0, time - self._lag_due)
        self._lags.append(lag_s)
        self.lag.observe(lag_s)
        self._lag_due = time + LAG_INTERVAL_S
        self._lag_timer = self.loop.call_at(self._lag_due, self._sample_lag)

    def loop_lag_s(self) -> float:
        """The loop's lag: the newest sample, or how late the next one already is (s)."""
        late_s = self.loop.time() - self._lag_due
        return max(0.0, late_s, self._lags[-1] if self._lags else 0.0)

    def waiting(self) -> tuple[int, int]:
        """How many frames and bytes wait to be written, whoever they are for; looked up anew at each call."""
        return self._outlets.waiting()

    @property
    def lingered_at(self) -> float:
        """When first there were so many notices of delivery that one was not written at once (s of the loop, inf:
        never)."""
        return self._outlets.lingered_at

    def statistics(self) -> dict[str, Any]:
        """Counts since the start, and the samples of loop lag (s) of the last hour."""
        return self.counts() | {"loop_lag_s": tuple(self._lags)}

    def counts(self) -> dict[str, int]:
        """Counts since the start."""
        return {
            "connections": self.connections(),
            "connections_total": self._connections_total,
            "connections_peak": self._connections_peak,
            "frames_in": self._frames_in,
            "frames_out": self._outlets.frames_out,
            "bytes_in": self._bytes_in,
            "bytes_out": self._outlets.bytes_out,
            "pings": self._pings,
            "flushes": self._outlets.flushes,
            "draining": self.draining,
        }

    def abort(self) -> None:
        """Drop every connection that is left: the end of patience."""
        self._outlets.abort()

    def close(self) -> None:
        """Stop the timers, since nothing wakes the handler any more, and let nobody wait for an answer."""
        for timer in (self._timer, self._lag_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._lag_timer = None
        self._outlets.close()
        # Whoever waits for the log is answered by nobody else.
        posts, self._posts = self._posts, {}
        for answered in posts.values():
            answered(None)


def _is_number(text: str) -> bool:
    """Whether the text is a whole number from 1 on, of a length that a count can have."""
    return 0 < len(text) <= 18 and text.isascii() and text.isdecimal() and text[0] != "0"
