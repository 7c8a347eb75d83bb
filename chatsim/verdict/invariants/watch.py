"""The invariants of one run: told of every step of a node, it says at the end what did not hold.

It is where the rules meet: it hands each input and each effect to those whom it concerns, looks at everybody now and
then for what should have happened by then, and compares the end with what people saw.
Rule: it sees what a journal holds, so that every wire is watched alike, and it says nothing before it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Mapping, Sequence
from math import inf
from typing import Any

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Append, Close, Effect, Effects, Note, Ping, Record, Send, Tell
from chatsim.core.effects import Watch as WatchEffect
from chatsim.core.facts import Added, Ended, Made, Position, Removed
from chatsim.core.frames import (
    Ack,
    Delivered,
    Draining,
    Error,
    Heartbeat,
    Joined,
    Left,
    Message,
    Presence,
    PresenceIn,
    Refreshed,
    TokenExpiring,
    Typing,
    TypingIn,
    Undelivered,
)
from chatsim.core.frames import AckIn as AckFrame
from chatsim.core.handler import ChatHandler
from chatsim.core.snapshot import Snapshot
from chatsim.journal.record import DELIVERED, FORGOTTEN, RunRecord
from chatsim.verdict.invariants import insides
from chatsim.verdict.invariants.catalogue import Findings, Violation
from chatsim.verdict.invariants.closings import ClosingRules, names_too_little
from chatsim.verdict.invariants.deliveries import DeliveryRules
from chatsim.verdict.invariants.entrance import EntranceRules
from chatsim.verdict.invariants.lasting import LastingRules
from chatsim.verdict.invariants.orders import OrderRules
from chatsim.verdict.invariants.peers import PeerRules
from chatsim.verdict.invariants.refusals import RefusalRules
from chatsim.verdict.invariants.roster import Roster
from chatsim.verdict.invariants.signals import SignalRules
from chatsim.verdict.invariants.spared import SparedRules
from chatsim.verdict.invariants.stores import StoreRules

SLACK_S = 1.0
"""How late a node may be by default (s): later than any turn of a loop that has room."""

SWEEPS = 4
"""So many looks at everybody in the time within which a silent peer is to be found; every so many the handler itself is
looked into."""

INSIDE_MAX = 500
"""With more connections than that a handler is looked into at the end only."""


class Watch:
    """Watches one node over its lives; moments are those of its clock (s)."""

    def __init__(
        self,
        config: HandlerConfig,
        epoch: float,
        snapshot: Snapshot | None = None,
        *,
        slack_s: float = SLACK_S,
        handler: Callable[[], ChatHandler | None] = lambda: None,
        clock: Callable[[float], float] = lambda now: now,
        forged: Container[str] = frozenset(),
    ) -> None:
        """`epoch` is the wall time of 0; `handler` is the one of the moment, where it may be looked into on the way,
        `clock` what its own clock shows at a moment of the node's (s), and `forged` are the names (`jti`) of the tokens
        that nobody has signed who may, as they are made."""
        self.findings = Findings()
        self.slack_s = slack_s
        self._handler = handler
        self._clock = clock
        self._roster = roster = Roster(config, epoch)
        roster.slack_s = slack_s
        self._peers = PeerRules(roster, self.findings, forged)
        self._closings = ClosingRules(roster, self.findings, self._peers)
        self._entrance = EntranceRules(roster, self.findings, self._peers)
        self._stores = StoreRules(roster, self.findings)
        self._deliveries = DeliveryRules(roster, self.findings, slack_s)
        self._signals = SignalRules(roster, self.findings)
        self._spared = SparedRules(roster, self.findings)
        self._orders = OrderRules(roster, self.findings)
        self._lasting = LastingRules(roster, self.findings)
        self._refusals = RefusalRules(roster, self.findings)
        self._every_s = self._peers.silence_s_max / SWEEPS
        self._sweep_at = self._every_s
        self._sweeps = 0
        self._now = -inf
        self._known = roster.peers.keys()
        self._messages: dict[type, Callable[[float, str, Sequence[Any], tuple[str, ...], Any], None]] = {
            Message: self._message,
            Ack: lambda now, door, args, to, frame: self._stores.ack(now, door, to, frame),
            Heartbeat: lambda now, door, args, to, frame: self._orders.beat(now, to, args, frame),
            TokenExpiring: lambda now, door, args, to, frame: self._peers.warned(now, to, frame, self.slack_s),
            Delivered: self._delivered,
            Undelivered: self._undelivered,
            Joined: self._joined,
            Left: self._left,
            Error: self._error,
            Draining: self._draining,
            Presence: self._signal,
            Typing: self._signal,
        }
        self._before: dict[str, Callable[[float, Sequence[Any], Effects], None]] = {
            "append_failed": lambda now, args, effects: self._stores.failed(now, args[0]),
            "clock_jump": self._jumps,
            "drain": lambda now, args, effects: self._closings.drain(now),
            "end_session": lambda now, args, effects: self._orders.ended(now, args[0], effects),
            "remove_participant": lambda now, args, effects: self._orders.removed(now, args[0], args[1], effects),
            # Where there is no room to remember it, nothing comes of it.
            "revoke": lambda now, args, effects: self._peers.told_to_revoke(now, *args, followed=bool(effects)),
        }
        self._after: dict[str, Callable[[float, Sequence[Any], Effects], None]] = {
            "connect": self._connected,
            "refresh": self._refreshed,
            "revoke": self._revoked,
            "pressure": self._pressed,
            "told": self._relayed,
            "wake": self._woken,
            "drain": self._drained,
        }
        if snapshot is not None:
            self._peers.begin(0.0, snapshot.revoked, -inf)
        if snapshot is not None and (snapshot.sessions or snapshot.said):
            roster.begin(0.0, snapshot, epoch, 0.0)
            self._stores.inherit(snapshot)
            self._stores.begin(0.0, snapshot, {})
            self._lasting.begin(0.0, snapshot)

    def step(self, now: float, door: str, args: Sequence[Any], effects: Effects) -> None:
        """One input of the handler, and what it answered."""
        if now < self._now:
            self.findings.add("time", now, f"it was {self._now:g} s before.")
        if door == "begin":
            self._begin(now, args[0], args[1])
        self._now = now
        # While a node is down nobody is late.
        if now >= self._sweep_at and door != "begin":
            self._sweep(now)
        if door == "receive":
            self._receive(now, args, effects)
        elif door == "pong":
            peer = self._roster.peers.get(args[0])
            if peer is not None:
                peer.heard_at = now
        else:
            self._input(now, door, args, effects)
        if effects:
            for effect in effects:
                self._effect(now, door, args, effect)
        self._deliveries.end_of_step(now)
        self._signals.end_of_step(now)
        self._orders.end_of_step()
        after = self._after.get(door)
        if after is not None:
            after(now, args, effects)

    def holds(self, now: float, conn: str, queued_bytes: float) -> None:
        """So many bytes wait for a connection, as whoever carries them has counted, and not as the node reports it."""
        self._peers.holds(now, conn, queued_bytes, self.slack_s)

    def knocks(self, now: float, user: str, former: str, answer: str) -> None:
        """Somebody with a good token asks to be let in, and names her former connection ("": none): `answer` is the
        code of the refusal ("": she may come in). Told before she does, by whoever decides it."""
        if answer == "draining" and not self._closings.draining:
            self.findings.add("admission", now, f"{user} is told that the node drains, which it does not.")
        self._entrance.knocks(now, user, former, answer, self.slack_s)

    @property
    def _late_s(self) -> float:
        """How long ago the door may have been asked when somebody is through (s)."""
        return self.slack_s - SLACK_S

    # Inputs.

    def _receive(self, now: float, args: Sequence[Any], effects: Effects) -> None:
        peer = self._roster.peers.get(args[0])
        if peer is None:
            return
        peer.heard_at = now
        # What a flood is refused is not always told: it is counted here.
        over = self._peers.count(now, peer, effects)
        if over or peer.flooding_from < inf:
            self._closings.frame(now, peer, effects, over=over)
        if now >= peer.exp_at:
            self._peers.check_refusal(now, peer, effects)
            return
        frame = args[1]
        if not over and names_too_little(frame):
            self._closings.malformed(now, peer, "bad_frame", effects)
            return
        if over or any(isinstance(e, Send) and isinstance(e.message, Error) for e in effects):
            return
        if frame.__class__ is AckFrame:
            self._deliveries.ack(now, peer, frame)
        elif frame.__class__ is PresenceIn:
            self._signals.shows(peer, frame.state)
        elif frame.__class__ is TypingIn:
            self._signals.types(now, peer, frame.session, frame.active)

    def _input(self, now: float, door: str, args: Sequence[Any], effects: Effects) -> None:
        roster = self._roster
        if door == "appended":
            record: Record = args[0]
            room = self._stores.stored(now, record)
            if room is not None:
                self._deliveries.stored(now, room, record.seq, record.conn)
        elif door == "connect":
            self._closings.comes(now, args[0])
            self._entrance.comes(now, args[0], args[1].sub)
            self._signals.comes(now, args[1].sub)
            roster.open(now, args[0], args[1])
        elif door == "disconnect":
            peer = roster.peers.get(args[0])
            if peer is not None:
                roster.drop(now, peer)
                self._deliveries.dropped(now, peer)
                self._signals.goes(now, peer.user)
        elif door in ("malformed", "refresh", "refuse_refresh"):
            self._no_chat(now, door, args, effects)
        elif door == "pressure":
            self._deliveries.press(now, args[0], args[1] + (args[2] if len(args) > 2 else 0))
        else:
            before = self._before.get(door)
            if before is not None:
                before(now, args, effects)

    def _no_chat(self, now: float, door: str, args: Sequence[Any], effects: Effects) -> None:
        """A frame came in that is handed to no part of the chat: broken, or with a new token."""
        peer = self._roster.peers.get(args[0])
        if peer is None:
            return
        peer.heard_at = now
        if door == "malformed":
            self._closings.malformed(now, peer, args[1], effects)
            return
        over = self._peers.count(now, peer, effects)
        self._closings.frame(now, peer, effects, over=over)
        if over:
            return
        if door == "refresh":
            self._entrance.refresh(now, peer, args[1], effects, self._late_s)
        else:
            self._entrance.refuse(now, peer, args[1], effects)

    def _jumps(self, now: float, args: Sequence[Any], effects: Effects) -> None:
        self._peers.jump(now, args[0])
        self._lasting.jump(now)

    def _begin(self, now: float, snapshot: Snapshot, epoch: float) -> None:
        roster = self._roster
        seqs = {room.name: (room.epoch, room.seq) for room in roster.rooms.values()}
        kept_until = self._stores.kept_until
        self._deliveries.begin(snapshot, kept_until)
        roster.begin(now, snapshot, epoch, max(self._now, 0.0))
        self._peers.begin(now, snapshot.revoked, kept_until)
        self._stores.begin(now, snapshot, seqs)
        self._signals.begin()
        self._closings.begin()
        self._lasting.begin(now, snapshot)

    # What holds when a step is over.

    def _connected(self, now: float, args: Sequence[Any], effects: Effects) -> None:
        conn, claims = args
        self._peers.check_limit(now, claims.sub)
        self._peers.check_admitted(now, conn, claims, self._late_s)
        peer = self._roster.peers.get(conn)
        if peer is not None:
            self._deliveries.came(now, peer)
        self._entrance.welcome(now, conn, claims, effects)

    def _refreshed(self, now: float, args: Sequence[Any], effects: Effects) -> None:
        peer = self._roster.peers.get(args[0])
        if peer is not None and any(isinstance(e, Send) and isinstance(e.message, Refreshed) for e in effects):
            peer.hold(now, args[1], self._roster.epoch, self._roster.config, renewed=True)
            peer.ends_at = max(peer.ends_at, now)

    def _revoked(self, now: float, args: Sequence[Any], effects: Effects) -> None:
        if not effects:
            return
        jti, user = args
        self._peers.revoked(now, jti, user)
        if user is not None:
            self._roster.gone.pop(user, None)
            self._deliveries.put_out(user)
            for room in self._roster.rooms.values():
                self._roster.part(now, room, user)

    def _pressed(self, now: float, args: Sequence[Any], effects: Effects) -> None:
        self._peers.press(now, args[0], args[1], args[2] if len(args) > 2 else 0)
        peer = self._roster.peers.get(args[0])
        if peer is not None:
            self._spared.pressed(now, peer, effects)

    def _relayed(self, now: float, args: Sequence[Any], effects: Effects) -> None:
        if not any(isinstance(e, Send) for e in effects):
            self._signals.silent(now, args[0], args[1])
        self._spared.relayed(now, args[0], args[1], effects)

    def _woken(self, now: float, args: Sequence[Any], effects: Effects) -> None:
        self._lasting.woken(now)
        handler = self._handler()
        if handler is None:
            return
        wake_at, woken_at = handler.wake_at(), self._clock(now)
        if wake_at <= woken_at:
            self.findings.add("rest", now, f"It was woken at {woken_at:g} s, and wants to be at {wake_at:g} s.")
        # What was due has just been done, so that whatever is due still has been forgotten.
        if self._sweeps >= SWEEPS and len(self._known) <= INSIDE_MAX:
            self._sweeps = 0
            self._look_inside(now, handler, self._known)

    def _drained(self, now: float, args: Sequence[Any], effects: Effects) -> None:
        self._closings.drained(now)
        handler = self._handler()
        if handler is not None:
            self._deliveries.compare(now, handler.ledger)

    # Effects.

    def _effect(self, now: float, door: str, args: Sequence[Any], effect: Effect) -> None:
        kind = effect.__class__
        if kind is Send:
            to, message = effect.to, effect.message  # type: ignore[union-attr]
            if not (to[0] in self._known if len(to) == 1 else self._known >= set(to)):
                gone = next(conn for conn in to if conn not in self._known)
                self.findings.add("gone", now, f"{type(message).__name__} goes to {gone} at {door}.")
                return
            rule = self._messages.get(message.__class__)
            if rule is not None:
                rule(now, door, args, to, message)  # type: ignore[arg-type]
        elif isinstance(effect, Append):
            self._orders.append(now, effect.record)
            self._stores.append(now, effect.record)
        elif isinstance(effect, Tell):
            self._signals.tell(now, door, effect.session, effect.message, self.slack_s)
        elif isinstance(effect, Ping):
            if not self._known >= set(effect.to):
                self.findings.add("gone", now, "somebody who is gone is pinged.")
        elif isinstance(effect, Close):
            self._orders.close(now, effect)
            closed = self._roster.peers.get(effect.to)
            self._closings.close(now, door, args, effect)
            self._peers.close(now, effect, self.slack_s)
            self._entrance.closes(now)
            if closed is not None:
                self._deliveries.dropped(now, closed)
                self._signals.goes(now, closed.user)
        elif isinstance(effect, WatchEffect):
            self._deliveries.watch(effect.to)
        elif isinstance(effect, Note):
            self._note(now, door, args, effect.fact)

    def _note(self, now: float, door: str, args: Sequence[Any], fact: Any) -> None:
        if isinstance(fact, Made):
            self._lasting.made(now, door, args, fact)
            room = self._roster.room(fact.session, fact.epoch)
            room.participants |= set(fact.participants)
        elif isinstance(fact, Added):
            self._roster.room(fact.session, 1).participants.add(fact.user)
        elif isinstance(fact, Removed):
            room = self._roster.room(fact.session, 1)
            room.participants.discard(fact.user)
            self._roster.part(now, room, fact.user)
        elif isinstance(fact, Position):
            found = self._roster.rooms.get(fact.session)
            if found is None and fact.session == "@" + fact.user:
                # Her own session is there from the moment on at which it is asked to store something.
                found = self._roster.room(fact.session, 1)
            if found is None or (fact.user not in found.here and fact.user not in found.absent):
                self.findings.add("leftovers", now, f"the place of {fact.user} in {fact.session} is noted.")
        elif isinstance(fact, Ended):
            self._orders.over(fact.session)
            self._lasting.over(now, door, args, fact.session, self.slack_s)
            self._roster.end(fact.session)
            self._signals.end(fact.session)

    def _message(self, now: float, door: str, args: Sequence[Any], to: tuple[str, ...], frame: Message) -> None:
        author = None
        # Who is closed as too slow in such a step leaves what waits to another device of hers: that is another message.
        if door == "appended" and args[0].message_id == frame.message_id:
            record: Record = args[0]
            author = record.conn
        self._deliveries.message(now, door, to, frame, author)

    def _delivered(self, now: float, door: str, args: Sequence[Any], to: tuple[str, ...], frame: Delivered) -> None:
        self._deliveries.notified(now, to, frame.message_ids)
        peer = self._roster.peers.get(args[0]) if door == "receive" else None
        self._deliveries.delivered(now, door, peer, args[1] if door == "receive" else None, frame)

    def _undelivered(self, now: float, door: str, args: Sequence[Any], to: tuple[str, ...], frame: Undelivered) -> None:
        self._deliveries.notified(now, to, (frame.message_id,))
        self._orders.undelivered(now, door, args, frame)
        self._deliveries.undelivered(now, frame)

    def _joined(self, now: float, door: str, args: Sequence[Any], to: tuple[str, ...], frame: Joined) -> None:
        asked = args[1] if door == "receive" else None
        peer = self._roster.peers[to[0]]
        self._deliveries.joined(now, door, peer, asked, frame)
        self._signals.joined(now, peer, frame)
        self._closings.joined(now, peer, asked)

    def _left(self, now: float, door: str, args: Sequence[Any], to: tuple[str, ...], frame: Left) -> None:
        self._lasting.left(to, frame.session)
        self._deliveries.left(now, door, [self._roster.peers[conn] for conn in to], frame)

    def _signal(
        self, now: float, door: str, args: Sequence[Any], to: tuple[str, ...], frame: Presence | Typing
    ) -> None:
        if door == "pressure":
            self._spared.told(now, to, frame)
        else:
            self._signals.told(now, args[0], args[1], frame, to)

    def _error(self, now: float, door: str, args: Sequence[Any], to: tuple[str, ...], frame: Error) -> None:
        if door == "receive":
            peer = self._roster.peers[to[0]]
            if frame.code == "rate_limited":
                self._stores.refused(now, peer.user)
            elif frame.code == "token_expired":
                self._peers.early(now, peer)
            self._orders.refused(now, peer, frame, self._stores.counts_since(now, peer.user))
            self._refusals.refused(now, peer, args[1], frame)

    def _draining(self, now: float, door: str, args: Sequence[Any], to: tuple[str, ...], frame: Draining) -> None:
        self._closings.goodbye(now, to, frame)
        for conn in to:
            self._peers.goodbye(self._roster.peers[conn], frame)

    # Looking at everybody.

    def _sweep(self, now: float) -> None:
        self._sweep_at = now + self._every_s
        self._sweeps += 1
        self._deliveries.slack_s = self._roster.slack_s = self.slack_s
        self._peers.sweep(now, self.slack_s)
        self._closings.sweep(now, self.slack_s)
        self._signals.sweep(now, self.slack_s)
        self._lasting.sweep(now, self.slack_s)

    def _look_inside(self, now: float, handler: ChatHandler, open_: Collection[str]) -> None:
        """Look into a handler between two of its steps; its node has these connections."""
        for name, detail in insides.problems(handler, self._clock(now), open_, self.slack_s):
            self.findings.add(name, now, detail)
        self._deliveries.compare(now, handler.ledger)

    def rest(self, known: int, open_: int) -> None:
        """All has come to rest: look into the handler while people are still there. Its node tells how many connections
        its handler knows, and how many of its own are open, both at one moment."""
        handler = self._handler()
        if handler is not None:
            self._look_inside(self._now, handler, self._known)
        self._spared.rest(self._now)
        if known != open_:
            detail = f"its handler knows {known} connections, and the node has {open_}."
            self.findings.add("pool", self._now, detail)

    def ended(self, open_: Collection[str]) -> None:
        """A life of the node ended in order, with these connections open."""
        handler = self._handler()
        if handler is not None:
            self._look_inside(self._now, handler, open_)

    @property
    def unanswered(self) -> bool:
        """Whether something is on its way through the log."""
        return bool(self._stores.under_way)

    def finish(
        self,
        now: float,
        record: RunRecord,
        *,
        handler: ChatHandler | None = None,
        open_: Collection[str] | None = None,
        settled: bool | None = None,
        shown: Mapping[str, str] | None = None,
    ) -> list[Violation]:
        """The run is over: everything that did not hold, each invariant once.

        `handler` is the one that is up (None: none is), `open_` the connections of its node, `settled` whether all came
        to rest within its bound (None: that is not known, or not promised), `shown` which former connection was named
        for each of them ("": none; no entry: not known).
        """
        self._sweep(now)
        add = self.findings.add
        if settled is False:
            add("convergence", now, "The run was cut off.")
        if settled is not None:
            self._stores.finish(now)
        self._entrance.finish(now, shown or {}, self._late_s)
        if handler is not None:
            self._look_inside(now, handler, self._known if open_ is None else open_)
            self._signals.check_states(now, insides.states(handler))
        self._account(now, record)
        for name, counter in (("seen_once", "duplicates"), ("seen_in_order", "out_of_order")):
            if record.counters.get(counter):
                add(name, now, f"It happened {record.counters[counter]} times.")
        return self.findings.all()

    def _account(self, now: float, record: RunRecord) -> None:
        """Every receiver of every message is accounted for, and who is said to have it has seen it."""
        add, receipts, owed = self.findings.add, record.receipts, record.owed
        # Under `baseline` nothing is replayed, and an ack of what came later covers what was lost with a connection:
        # that is what these rules are kept to show.
        hardened, excused = self._roster.config.reliability == "hardened", self._roster.expired_while_down
        for message_id, outcomes in owed.items() if hardened else ():
            seen = receipts.get(message_id, {})
            for user, outcome in outcomes.items():
                if user in seen or message_id in excused or outcome not in (FORGOTTEN, DELIVERED):
                    continue
                add("acked_not_lost", now, f"{message_id} is {outcome} for {user}, who has not seen it.")
        for message_id, said in self._roster.said.items() if hardened or self._roster.lives == 1 else ():
            if message_id in excused:
                continue
            known = owed.get(message_id, {})
            for user in (*(said.present - known.keys()), *(set(said.absent) - known.keys())):
                if user != said.sender:
                    add("accounted", now, f"nothing is known of {message_id} for {user}.")
                    break
