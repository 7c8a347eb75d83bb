"""The invariants of storing messages: who may write how much, what is stored once, and what is acked to its author.

Decides whether each append and each ack was right. Rule: what the log did not take counts for nothing from then on;
where its id may have been forgotten by then it may count for a refusal, and never against one. Moments and durations in
seconds.
"""

from __future__ import annotations

from collections import Counter, deque
from math import inf

from chatsim.core.effects import Conn, Record
from chatsim.core.frames import Ack
from chatsim.core.service import SERVER
from chatsim.core.snapshot import Snapshot
from chatsim.verdict.invariants.budgets import BUDGETS, Budget
from chatsim.verdict.invariants.catalogue import Findings
from chatsim.verdict.invariants.peers import EPS_S
from chatsim.verdict.invariants.roster import Room, Roster

Key = tuple[str, str, str]


class StoreRules:
    """What is watched of appends, limits, ids and acks."""

    def __init__(self, roster: Roster, findings: Findings) -> None:
        self._roster = roster
        self._add = findings.add
        config = roster.config
        self._exact = config.rate_algorithm == "sliding"
        self._kind = BUDGETS.get(config.rate_algorithm)
        self._budgets: dict[str, Budget] = {}
        self._limit, self._window_s = config.rate_limit, config.rate_window_s
        self._dedupe_s = config.dedupe_for_s
        self._let_through: dict[str, deque[float]] = {}
        # What was let through within the last window or so, by whom and in which order, as (moment, key, wall time):
        # what a node that begins again has to know of it.
        self._lately: deque[tuple[float, Key, float]] = deque()
        self._failed: dict[str, deque[float]] = {}
        self._known: dict[Key, tuple[float, int]] = {}
        self._known_in_order: deque[tuple[float, Key]] = deque()
        self.under_way: dict[Key, float] = {}
        # When the newest of the records that the log has was given to it, in this life: as it takes things in order, it
        # has whatever it was told before, too.
        self.kept_until = -inf

    def append(self, now: float, record: Record) -> None:
        """The handler asks the log to store a record."""
        key = record.sender, record.session, record.id
        self.under_way[key] = now
        if record.sender == SERVER:
            return
        while self._known_in_order and self._known_in_order[0][0] + self._dedupe_s <= now:
            since, old = self._known_in_order.popleft()
            if self._known.get(old, (-inf, 0))[0] == since:
                del self._known[old]
        known = self._known.get(key)
        if known is not None and known[1] == record.epoch:
            self._add("stored_once", now, f"id {record.id} of {record.sender} was taken at {known[0]:g} s.")
        self._known[key] = now, record.epoch
        self._known_in_order.append((now, key))
        while self._lately and self._lately[0][0] + self._window_s <= now:
            self._lately.popleft()
        self._lately.append((now, key, record.sent_at))
        if self._kind is not None:
            if not self._budget(record.sender).take(now):
                self._add("limit", now, f"one message more of {record.sender} was let through than there was room for.")
            return
        moments = self._let_through.get(record.sender)
        if moments is None:
            moments = self._let_through[record.sender] = deque()
        moments.append(now)
        _forget(moments, self._window_s, now)
        if len(moments) > self._limit:
            self._add(
                "limit", now, f"{len(moments)} messages of {record.sender} were let through in {self._window_s:g} s."
            )

    def _budget(self, user: str) -> Budget:
        found = self._budgets.get(user)
        if found is None:
            assert self._kind is not None
            found = self._budgets[user] = self._kind(self._limit, self._window_s)
        return found

    def failed(self, now: float, record: Record) -> None:
        """The log did not take a record: its author is given back what it took of her budget."""
        key = record.sender, record.session, record.id
        self.under_way.pop(key, None)
        # A node that begins again hears nothing of it.
        self._lately = deque(entry for entry in self._lately if entry[1:] != (key, record.sent_at))
        known = self._known.get(key)
        if known is None or known[1] != record.epoch:
            # Its id is nobody's any more, or that of a message in the next session of its name.
            return
        since, _ = self._known.pop(key)
        surely = now < since + self._dedupe_s
        if self._kind is not None:
            self._budget(record.sender).give_back(since, surely=surely)
        moments = self._let_through.get(record.sender)
        if moments is not None and since in moments:
            moments.remove(since)
            if not surely:
                self._failed.setdefault(record.sender, deque()).append(since)

    def stored(self, now: float, record: Record) -> Room | None:
        """The log has a record: it has the next place in its session, which is returned if it is still that session."""
        asked_at = self.under_way.pop((record.sender, record.session, record.id), -inf)
        self.kept_until = max(self.kept_until, asked_at)
        room = self._roster.store(now, record)
        if room is None:
            return None
        if record.epoch > room.epoch:
            room.epoch, room.seq = record.epoch, 0
            room.acks.clear()
        if record.epoch == room.epoch:
            if record.seq != room.seq + 1:
                self._add("seq", now, f"{record.session} has {record.seq} after {room.seq}.")
            room.seq = record.seq
            return room
        return None

    def refused(self, now: float, user: str) -> None:
        """A message was refused for the rate of its author."""
        if self._kind is not None:
            if not self._budget(user).refuses(now):
                self._add("limit_reached", now, f"{user} was refused, and there was room for her message.")
            return
        count = 0
        for known in (self._let_through, self._failed):
            moments = known.get(user)
            if moments is not None:
                _forget(moments, self._window_s + EPS_S, now)
                count += len(moments)
        if count < self._limit:
            self._add("limit_reached", now, f"{user} was refused after {count} messages.")

    def counts_since(self, now: float, user: str) -> float | None:
        """The moment of the oldest message that counts against the user, who has as many as she may have; None where
        that is not known."""
        moments = self._let_through.get(user, ())
        if not self._exact or len(moments) < self._limit or self._failed.get(user):
            return None
        return moments[-self._limit]

    def ack(self, now: float, door: str, to: tuple[Conn, ...], frame: Ack) -> None:
        """The node acks a message to connections of its author: at once where its id had been stored before."""
        if door == "receive" and not frame.duplicate:
            self._add("duplicate", now, f"{frame.id} was stored before, and is acked to {to[0]} as if it was not.")
        said = self._roster.said.get(frame.message_id)
        if said is None:
            self._add("ack_after_store", now, f"{frame.message_id or frame.id} was acked and is not stored.")
            return
        peers = self._roster.peers
        if (said.id, said.session, said.epoch, said.seq) != (frame.id, frame.session, frame.epoch, frame.seq):
            self._add("ack_after_store", now, f"{frame.message_id} is acked as what it is not.")
        if any(peers[conn].user != said.sender for conn in to):
            self._add("ack_after_store", now, f"{frame.message_id} of {said.sender} is acked to somebody else.")

    def inherit(self, snapshot: Snapshot) -> None:
        """What was said in an earlier run, of which only its log can tell."""
        self._lately.extend((sent_at - self._roster.epoch, (user, "", ""), sent_at) for user, sent_at in snapshot.said)

    def begin(self, now: float, snapshot: Snapshot, seqs: dict[str, tuple[int, int]]) -> None:
        """The node begins again; `seqs` are the sessions it had, with epoch and newest seq.

        What was stored in an earlier life counts in the minute that it was said in, whatever became of its session;
        that is known from that life, and not from what the log says of it. Only of what was under way at the end does
        the log alone know.
        """
        stored = [(key, sent_at) for _, key, sent_at in self._lately if key not in self.under_way]
        told = Counter(snapshot.said) - Counter((key[0], sent_at) for key, sent_at in stored)
        lately = stored + [((user, "", ""), sent_at) for user, sent_at in told.elements()]
        moments = ((min(sent_at - self._roster.epoch, now), key, sent_at) for key, sent_at in lately)
        # What is over by the clock of this life may be forgotten for good, even if that clock is set back.
        self._lately = deque(sorted(entry for entry in moments if entry[0] + self._window_s > now))
        self.under_way.clear()
        self.kept_until = -inf
        self._let_through.clear()
        self._budgets.clear()
        self._failed.clear()
        self._known.clear()
        self._known_in_order.clear()
        states = {state.name: state for state in snapshot.sessions}
        for name, (epoch, seq) in seqs.items():
            state = states.get(name)
            if seq and (state is None or (state.epoch == epoch and state.seq < seq)):
                self._add("stored_is_kept", now, f"{name} had {seq} messages, and has {state.seq if state else 0}.")
        found = sorted(
            (min(record.sent_at - self._roster.epoch, now), (record.sender, record.session, record.id), record.epoch)
            for state in snapshot.sessions
            for record in state.records
        )
        for since, key, epoch in found:
            self._known[key] = since, epoch
            self._known_in_order.append((since, key))
        for since, (user, *_), _ in self._lately:
            if self._kind is None:
                self._let_through.setdefault(user, deque()).append(since)
            elif since + self._window_s > now:
                self._budget(user).take(since)

    def finish(self, now: float) -> None:
        """The run has come to rest."""
        for (sender, session, id_), since in self.under_way.items():
            self._add("answered", now, f"{id_} of {sender} in {session} is under way since {since:g} s.")
            return


def _forget(moments: deque[float], window_s: float, now: float) -> None:
    # The sum as the limiter writes it: another one may round to the other side of the edge.
    while moments and moments[0] + window_s <= now:
        moments.popleft()
