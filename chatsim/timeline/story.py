"""What a journal tells, in the order in which it happened: rows to draw, connections, and the way of each message.

Decides what is worth a row, and when a connection and a delivery begin and end. Rule: nothing is known here but the
steps, so that the moments are those of the server, and what a person saw is told only as far as she acked it.
What is shown of it is left to `choice`, how it looks to `sequence` and `trace`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf
from typing import Any, Literal, TypeAlias

import msgspec

from chatsim.core.effects import Append, Close, Conn, Ping, Record, Send
from chatsim.core.frames import Delivered, Joined, Message, Presence, StatusIn, Undelivered
from chatsim.core.snapshot import Snapshot
from chatsim.journal.steps import Step
from chatsim.timeline.words import Tone, of_client, of_server

Way: TypeAlias = Literal["in", "out", "echo", "append", "stored", "kept", "server", "mark"]
"""Where a row's arrow goes: from a person to the server, back, there and back; from the server to the log, back, there
and back; or nowhere, as something that the server did, or that was done to everybody."""


class Mark(msgspec.Struct, frozen=True):
    """Something that the journal does not know of, at a moment (s): what the scenario did, mostly."""

    at: float
    text: str


class Line(msgspec.Struct, gc=False):
    """One connection; moments in seconds, `closed_at` is inf while it is open, `end` says what ended it. `lane` tells
    apart the connections that a user has at the same time."""

    name: Conn
    user: str
    opened_at: float
    closed_at: float = inf
    end: str = ""
    lane: int = 0


class Row(msgspec.Struct):
    """One thing that happened: when (s), which way, in what words, to which connections. `about` are users whom it
    concerns without a connection of theirs being part of it; `session` is "" where it is about none. Rows with the same
    `fold` say the same of one person after another."""

    at: float
    way: Way
    text: str
    tone: Tone
    lines: tuple[Line, ...] = ()
    about: tuple[str, ...] = ()
    session: str = ""
    ends: bool = False
    fold: str = ""


class Delivery(msgspec.Struct):
    """One message on its way to one receiver: from being stored until acked or given up (s; `settled_at` inf while it
    waits). `outcome` is "waiting", "delivered", "forgotten" or the reason why it was given up; `sent_at` are the
    moments of the attempts (s)."""

    message_id: str
    session: str
    seq: int
    sender: str
    user: str
    stored_at: float
    settled_at: float = inf
    outcome: str = "waiting"
    attempts: int = 1
    sent_at: list[float] = msgspec.field(default_factory=list)


class Storing(msgspec.Struct):
    """One message in the hands of the log (s; `stored_at` inf where it never answered)."""

    id: str
    session: str
    sender: str
    asked_at: float
    stored_at: float = inf
    message_id: str = ""
    kept: bool = False


class Story:
    """The whole of what some steps tell. `sessions` maps each user to the sessions she was seen in."""

    def __init__(self, steps: Iterable[Step], marks: Iterable[Mark] = ()) -> None:
        self.rows: list[Row] = []
        self.lines: list[Line] = []
        self.deliveries: list[Delivery] = []
        self.storings: list[Storing] = []
        self.sessions: dict[str, set[str]] = {}
        self.ends_at = 0.0
        self._numbers: dict[str, int] = {}
        self._messages: dict[str, tuple[Record, float]] = {}
        self._open: dict[Conn, Line] = {}
        self._lanes: dict[str, set[int]] = {}
        self._waiting: dict[tuple[str, str], Delivery] = {}
        self._storing: dict[tuple[str, str, str], tuple[Storing, Row]] = {}
        self._pings: dict[Conn, Row] = {}
        self._resuming = False
        waiting_marks = sorted(marks, key=lambda mark: mark.at, reverse=True)
        for step in steps:
            while waiting_marks and waiting_marks[-1].at <= step.now:
                self._mark(waiting_marks.pop())
            self._take(step)
        while waiting_marks:
            self._mark(waiting_marks.pop())
        for row in self._pings.values():
            if row.lines[0].closed_at == inf:
                # The story ends before the answer may have come.
                row.text, row.tone = "ping", "quiet"

    @property
    def users(self) -> set[str]:
        """Everybody who is known here."""
        return set(self.sessions)

    def _take(self, step: Step) -> None:
        now = self.ends_at = step.now
        _DOORS[step.door](self, now, *step.args)
        for effect in step.effects:
            if isinstance(effect, Send):
                self._send(now, effect)
            elif isinstance(effect, Close):
                self._end(now, effect.to, f"close {effect.code} {effect.reason}".rstrip(), "out")
            elif isinstance(effect, Append):
                self._append(now, effect.record)
            elif isinstance(effect, Ping):
                for line in self._found(effect.to):
                    self._pings[line.name] = self._row(now, "out", "ping, no pong", "retry", (line,))
        self._resuming = False

    def _row(
        self,
        now: float,
        way: Way,
        text: str,
        tone: Tone = "plain",
        lines: tuple[Line, ...] = (),
        about: tuple[str, ...] = (),
        session: str = "",
    ) -> Row:
        row = Row(now, way, text, tone, lines, about, session)
        self.rows.append(row)
        return row

    def _mark(self, mark: Mark) -> None:
        self.ends_at = max(self.ends_at, mark.at)
        self._row(mark.at, "mark", mark.text, "retry")

    def _found(self, conns: tuple[Conn, ...]) -> tuple[Line, ...]:
        return tuple(line for conn in conns if (line := self._open.get(conn)) is not None)

    def _in(self, now: float, conn: Conn, text: str, tone: Tone = "plain", session: str = "") -> None:
        """Something from a connection; what comes from one that is closed already is no news."""
        lines = self._found((conn,))
        if lines:
            self._row(now, "in", text, tone, lines, session=session)

    def _seen(self, user: str, session: str = "") -> None:
        sessions = self.sessions.setdefault(user, set())
        if session:
            sessions.add(session)

    # Connections.

    def _connect(self, now: float, conn: Conn, claims: Any) -> None:
        user = claims.sub
        self._seen(user)
        taken = self._lanes.setdefault(user, set())
        lane = next(lane for lane in range(len(taken) + 1) if lane not in taken)
        taken.add(lane)
        line = self._open[conn] = Line(conn, user, now, lane=lane)
        self.lines.append(line)
        self._row(now, "in", f"connect {conn}", "plain", (line,))

    def _disconnect(self, now: float, conn: Conn) -> None:
        self._end(now, conn, "connection gone", "in")

    def _end(self, now: float, conn: Conn, why: str, way: Way) -> None:
        line = self._open.pop(conn, None)
        if line is None:
            return
        line.closed_at, line.end = now, why
        self._lanes[line.user].discard(line.lane)
        self._row(now, way, f"{why} ({conn})", "close", (line,)).ends = True

    def _begin(self, now: float, snapshot: Snapshot, epoch: float, seed: int, first_epoch: int) -> None:
        self._row(now, "mark", "the server began again", "close", tuple(self._open.values())).ends = True
        for line in self._open.values():
            line.closed_at, line.end = now, "the server ended"
        self._open.clear()
        self._lanes.clear()
        self._storing.clear()
        positions = {state.name: dict(state.positions) for state in snapshot.sessions}
        for (message_id, user), delivery in list(self._waiting.items()):
            if delivery.session not in positions:
                self._settle(now, message_id, user, "forgotten")
            elif positions[delivery.session].get(user, 0) >= delivery.seq:
                self._settle(now, message_id, user, "delivered")
        for state in snapshot.sessions:
            for record in state.records:
                # The end of the journal of a process that was killed is missing, but not what it stored.
                self._numbers.setdefault(record.message_id, record.seq)
                self._messages.setdefault(record.message_id, (record, now))

    # Messages.

    def _append(self, now: float, record: Record) -> None:
        row = self._row(now, "append", f"append {record.id}", about=(record.sender,), session=record.session)
        storing = Storing(record.id, record.session, record.sender, now)
        self.storings.append(storing)
        self._storing[record.sender, record.session, record.id] = storing, row

    def _appended(self, now: float, record: Record) -> None:
        self._seen(record.sender, record.session)
        self._numbers[record.message_id] = record.seq
        self._messages[record.message_id] = record, now
        text = f"stored as {record.session} #{record.seq}"
        storing, row = self._answered(now, record)
        if storing is not None:
            storing.kept, storing.message_id = True, record.message_id
        if row is not None and row is self.rows[-1] and row.at == now:
            row.way, row.text = "kept", f"append {record.id}, {text}"
        else:
            self._row(now, "stored", text, about=(record.sender,), session=record.session)

    def _append_failed(self, now: float, record: Record) -> None:
        self._answered(now, record)
        text = f"append {record.id} FAILED"
        self._row(now, "stored", text, "error", about=(record.sender,), session=record.session)

    def _answered(self, now: float, record: Record) -> tuple[Storing | None, Row | None]:
        storing, row = self._storing.pop((record.sender, record.session, record.id), (None, None))
        if storing is not None:
            storing.stored_at = now
        return storing, row

    def _send(self, now: float, effect: Send) -> None:
        frame, lines = effect.message, self._found(effect.to)
        text, tone, session = of_server(frame, self._numbers)
        about: tuple[str, ...] = ()
        if isinstance(frame, Message):
            self._sent(now, frame, lines)
        elif isinstance(frame, Delivered):
            for message_id in frame.message_ids:
                self._settle(now, message_id, frame.user, "delivered")
        elif isinstance(frame, Undelivered):
            self._settle(now, frame.message_id, frame.user, frame.reason)
            known = self._messages.get(frame.message_id)
            about = (frame.user,) if known is None else (frame.user, known[0].sender)
        elif isinstance(frame, Joined):
            for line in lines:
                self._seen(line.user, session)
            if self._resuming and not frame.recovered:
                text, tone = f"{text}, NOT RECOVERED", "error"
        if lines:
            row = self._row(now, "out", text, tone, lines, about, session)
        elif about:
            row = self._row(now, "server", f"{text} (nobody hears it)", tone, (), about, session)
        else:
            return
        if isinstance(frame, Delivered | Undelivered | Presence):
            row.fold = f"{session} {text.replace(frame.user, '')}"

    def _sent(self, now: float, frame: Message, lines: tuple[Line, ...]) -> None:
        stored_at = self._messages[frame.message_id][1] if frame.message_id in self._messages else now
        for user in {line.user: None for line in lines if line.user != frame.sender}:
            key = frame.message_id, user
            delivery = self._waiting.get(key)
            if delivery is None:
                delivery = Delivery(frame.message_id, frame.session, frame.seq, frame.sender, user, stored_at)
                self._waiting[key] = delivery
                self.deliveries.append(delivery)
            delivery.attempts = max(delivery.attempts, frame.attempt)
            delivery.sent_at.append(now)

    def _settle(self, now: float, message_id: str, user: str, outcome: str) -> None:
        delivery = self._waiting.pop((message_id, user), None)
        if delivery is None:
            # She was away when it came, so that nothing was sent to her: it waited all the same.
            known = self._messages.get(message_id)
            if known is None:
                return
            record, stored_at = known
            delivery = Delivery(message_id, record.session, record.seq, record.sender, user, stored_at, attempts=0)
            self.deliveries.append(delivery)
        delivery.settled_at, delivery.outcome = now, outcome

    # What else comes in.

    def _receive(self, now: float, conn: Conn, frame: Any) -> None:
        text, tone, session = of_client(frame, self._numbers)
        self._resuming = isinstance(frame, StatusIn) and isinstance(frame.last_seq, int)
        self._in(now, conn, text, tone, session)

    def _malformed(self, now: float, conn: Conn, code: str, detail: str) -> None:
        self._in(now, conn, f"malformed: {code}", "error")

    def _pong(self, now: float, conn: Conn) -> None:
        row = self._pings.pop(conn, None)
        if row is None:
            self._in(now, conn, "pong", "quiet")
        else:
            row.way, row.text, row.tone = "echo", f"ping, pong after {now - row.at:.3f} s", "quiet"

    def _pressure(self, now: float, conn: Conn, queued_bytes: int, queued_frames: int = 0) -> None:
        line = self._found((conn,))
        if line:
            text = f"{queued_frames} frames, {queued_bytes / 1024:.1f} KiB wait for {conn}"
            self._row(now, "server", text, "quiet", line)

    def _refresh(self, now: float, conn: Conn, claims: Any) -> None:
        self._in(now, conn, "refresh, a good token")

    def _refuse_refresh(self, now: float, conn: Conn, code: str) -> None:
        self._in(now, conn, f"refresh refused: {code}", "error")

    def _revoke(self, now: float, jti: str | None, user: str | None) -> None:
        what = f"all tokens of {user}" if jti is None else f"token {jti}"
        self._row(now, "server", f"revoke {what}", "close", about=() if user is None else (user,))

    def _open_session(
        self, now: float, session: str, participants: tuple[str, ...], ttl_s: float | None, opener: str | None = None
    ) -> None:
        for user in participants:
            self._seen(user, session)
        self._row(now, "server", f"open {session} for {', '.join(participants)}", about=participants, session=session)

    def _added(self, now: float, session: str, user: str) -> None:
        self._seen(user, session)
        self._row(now, "server", f"add {user} to {session}", about=(user,), session=session)

    def _removed(self, now: float, session: str, user: str) -> None:
        self._row(now, "server", f"remove {user} from {session}", "close", about=(user,), session=session)

    def _end_session(self, now: float, session: str) -> None:
        self._row(now, "server", f"end {session}", "close", session=session)

    def _post(self, now: float, user: str, id_: str, body: Any) -> None:
        self._seen(user, f"@{user}")
        self._row(now, "server", f"post {id_} to {user}", about=(user,), session=f"@{user}")

    def _drain(self, now: float) -> None:
        self._row(now, "mark", "drain", "close")

    def _clock_jump(self, now: float, by_s: float) -> None:
        self._row(now, "mark", f"the wall clock jumps by {by_s:g} s", "retry")

    def _nothing(self, now: float, *args: Any) -> None:
        """An input that is seen by what it leads to."""


_DOORS: dict[str, Callable[..., None]] = {
    "connect": Story._connect,
    "disconnect": Story._disconnect,
    "receive": Story._receive,
    "malformed": Story._malformed,
    "pong": Story._pong,
    "pressure": Story._pressure,
    "refresh": Story._refresh,
    "refuse_refresh": Story._refuse_refresh,
    "revoke": Story._revoke,
    "open_session": Story._open_session,
    "add_participant": Story._added,
    "remove_participant": Story._removed,
    "end_session": Story._end_session,
    "post": Story._post,
    "drain": Story._drain,
    "clock_jump": Story._clock_jump,
    "begin": Story._begin,
    "appended": Story._appended,
    "append_failed": Story._append_failed,
    "told": Story._nothing,
    "wake": Story._nothing,
}
