"""A block of time of the node, all its work at once: when each piece starts and ends, and what follows from it.

Decides frames parsed, appends, fan-outs, acks, pings and handshakes, with the costs of the full simulation piece by
piece. Rule: what depends on itself within a block (acks follow from messages, and delay the messages behind them) is
worked out again until nothing changes. As far as two rounds agree from the start on, they are right, since nothing
depends on what comes later; only so far a block is kept.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from chatsim.flow.acks import ack_moments
from chatsim.flow.company import alone, eager
from chatsim.flow.lindley import ends, starts, turn_starts
from chatsim.flow.node import Arriving, Node, Pairs, joined
from chatsim.flow.turns import Turns
from chatsim.flow.writes import by_key, flushed

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

ROUNDS: Final = 40
"""After so many rounds what agrees is kept, and the rest comes again in the next block."""

EQUAL_S: Final = 1e-9
"""Moments that differ by less are equal: sums of floats in another order are."""


class Fans(NamedTuple):
    """Messages that were sent to their receivers: `intended_at`, `acked_at` (s), the `group` of the sender and the
    number of `receivers` by message; `received_at` by delivery (s), those of one message together and in its order."""

    intended_at: FloatArray
    acked_at: FloatArray
    group: npt.NDArray[np.int32]
    receivers: IntArray
    received_at: FloatArray


class Done(NamedTuple):
    """What a block has worked off: all work in order, when it was ready, when it ended and what it cost (s)."""

    ready_at: FloatArray
    end_at: FloatArray
    cost_s: FloatArray
    fans: Fans


class _Acks(NamedTuple):
    """Acks of one round: when they are sent and reach the node (s), the first of their deliveries and how many it
    `settles`, the connection, how many senders hear of it, and (ack, sender) for each of those."""

    sent_at: FloatArray
    ready_at: FloatArray
    first: IntArray
    settles: IntArray
    conn: IntArray
    senders: IntArray
    heard_ack: IntArray
    heard: IntArray


class Block:
    """One block of `node`, up to `until` (s) or somewhat less."""

    def __init__(self, node: Node, until: float) -> None:
        self.node = node
        self.until = until
        load, prices = node.load, node.prices
        self.ping_at, self.pinged = node.pinging(until)
        count = int(np.searchsorted(node.knocks.ready_at, until))
        self.knocks, self.later = node.knocks.take(slice(0, count)), node.knocks.take(slice(count, None))
        self.joins = Arriving(*joined(node.joins, self.knocks)) if count else node.joins  # type: ignore[arg-type]
        self.says = node.saying(until)
        self._expand()
        self.sizes = [self.ping_at.size, count, self.joins.user.size, self.says.at.size, self.conn.size]
        self.offsets = np.cumsum([0, *self.sizes])
        ping_s = prices.means("ping", self.pinged) * self.pinged
        knock_s = prices.each("verify", count) + prices.each("handshake", count)
        if node.tls:
            knock_s += prices.each("tls_handshake", count)
        join_s = prices.each("frame_status", self.sizes[2])
        ack_s = prices.each("frame_ack", self.sizes[4])
        self.knock_s = knock_s
        self.base_s = np.concatenate((ping_s, knock_s, join_s, self.says.cost_s, ack_s))
        n = self.base_s.size
        rooms = load.size[load.session[self.joins.user]].astype(np.int64), self.size.astype(np.int64)
        one = np.ones(n, dtype=np.int64)
        counts = np.concatenate((one[: self.offsets[2]], *rooms, one[self.offsets[4] :]))
        self.recipient_s = prices.means("recipient", counts)
        self.write_s = prices.means("write", counts)
        self.settled_s = prices.each("settled", self.sizes[4])
        self.wake_s = prices.each("wake", n) if prices.wakes else None
        self.cold_s = prices.each("cold", n) if prices.chills else None
        self.flush_s = prices.each("flush", n) if prices.flushes else None
        # What a piece of work costs beside its base: at first as if nothing were shared, and everybody were there.
        self.extra_s = (self.recipient_s + self.write_s) * counts
        self.extra_s[: self.offsets[1]] = 0.0
        self.start_at = np.zeros(n)
        self.end_at = np.zeros(n)
        # When what is for one alone leaves.
        self.answer_at = np.zeros(n)
        self.turns = None if self.flush_s is None else Turns(self.write_s)

    def _expand(self) -> None:
        """The deliveries of the messages: those of earlier blocks that nobody has acked, then a row for each receiver
        of each message, message by message."""
        node, load = self.node, self.node.load
        user = self.says.user
        session = load.session[user]
        self.size = load.size[session]
        others = (self.size - 1).astype(np.int64)
        ends = np.cumsum(others)
        self.old = node.pairs.conn.size
        total = int(ends[-1]) if ends.size else 0
        self.say = np.repeat(np.arange(user.size), others)
        conn = np.arange(total) + np.repeat(load.first[session] - (ends - others), others)
        conn += conn >= user[self.say]
        group = load.group[conn]
        self.say_begins = ends - others
        self.down_s = node.ways["message"].draw(group)
        up_s = node.ways["receipt"].draw(group)
        self.conn = np.concatenate((node.pairs.conn, conn))
        self.sender = np.concatenate((node.pairs.sender, user[self.say]))
        self.up_s = np.concatenate((node.pairs.up_s, up_s))
        self.order = by_key(self.conn)
        # Messages of one session by session: what their order is checked by.
        self.says_by_session = by_key(session.astype(np.int64))
        self.say_session = session

    def _part(self, of_all: FloatArray, kind: int) -> FloatArray:
        return of_all[self.offsets[kind] : self.offsets[kind + 1]]

    def work(self) -> Done:
        """Go round until nothing changes, and hand over what is kept; the node is then that far."""
        node = self.node
        ready_at = self._guess()
        before: tuple[FloatArray, FloatArray] | None = None
        kept = node.now
        while True:
            for _ in range(ROUNDS):
                self.ready_all = ready_at
                within = np.flatnonzero(ready_at < self.until)
                self.line = within[np.argsort(ready_at[within], kind="stable")]
                self.ready = ready_at[self.line]
                # At the speed of the machine when it is ready: what waits long enough to see another is late anyway.
                self.pace = node.prices.pace.at(self.ready)
                self.cost = (self.base_s + self.extra_s)[self.line] * self.pace
                self.start, self.idle = starts(self.ready, self.cost, node.free_at)
                self.end = ends(self.start, self.cost, self.idle)
                kept = self._agreed(before)
                if kept == self.until:
                    return self._keep(kept)
                before = self.ready, self.cost
                for moments in (self.start_at, self.end_at, self.answer_at):
                    moments.fill(np.inf)
                self.start_at[self.line] = self.start
                there = self._receivers()
                self._leave(there)
                self._spend(there)
                ready_at = self._follow()
            if kept > node.now:
                return self._keep(kept)

    def _agreed(self, before: tuple[FloatArray, FloatArray] | None) -> float:
        """Up to which moment this round and the one before are the same."""
        if before is None:
            return self.node.now
        n = min(before[0].size, self.ready.size)
        same = (np.abs(before[0][:n] - self.ready[:n]) <= EQUAL_S) & (np.abs(before[1][:n] - self.cost[:n]) <= EQUAL_S)
        first = n if same.all() else int(np.argmin(same))
        ahead = [float(row[first]) for row in (before[0], self.ready) if first < row.size]
        return min([self.until, *ahead])

    def _guess(self) -> FloatArray:
        """When everything would be ready if all work started at once."""
        ready_at = np.full(self.base_s.size, np.inf)
        o = self.offsets
        ready_at[: o[1]] = self.ping_at
        ready_at[o[1] : o[2]] = self.knocks.ready_at
        self.acks: _Acks | None = None
        self.start_at[:] = np.inf
        self.end_at[:] = np.inf
        self.answer_at[:] = np.inf
        open_at = self.node.open_at[self.says.user]
        ready_at[o[3] : o[4]] = np.maximum(self.says.at, open_at) + self.says.up_s
        old = self.node.joins.user.size
        ready_at[o[2] : o[2] + old] = self.node.joins.ready_at
        return ready_at

    def _follow(self) -> FloatArray:
        """When everything is ready, as it follows from the starts and ends of this round."""
        node, o = self.node, self.offsets
        ready_at = self.ready_all.copy()
        if not node.everybody:
            knocks, old = self.knocks, node.joins.user.size
            opened = self._part(self.start_at, 1) + self.knock_s + knocks.open_s
            welcome = np.maximum(opened, self._part(self.end_at, 1) + knocks.down_s)
            ready_at[o[2] + old : o[3]] = welcome + knocks.up_s
            open_at = node.open_at
            if self.joins.user.size:
                open_at = open_at.copy() if self.says.at.size else open_at
                open_at[self.joins.user] = self._part(self.answer_at, 2) + self.joins.back_s
            ready_at[o[3] : o[4]] = np.maximum(self.says.at, open_at[self.says.user]) + self.says.up_s
            open_at[self.joins.user] = np.inf
        ready_at[o[4] :] = np.inf
        acks = self.acks
        if acks is not None:
            ready_at[o[4] + acks.first] = acks.ready_at
        return ready_at

    def _leave(self, there: IntArray) -> None:
        """When what each piece of work says leaves: at its end, or when its turn has it written."""
        line, o = self.line, self.offsets
        if self.turns is None:
            self.end_at[line] = self.answer_at[line] = self.end
            return
        many = np.zeros(self.base_s.size, dtype=np.bool_)
        if self.joins.user.size:
            many[o[2] : o[3]] = self._others() > 1
        many[o[3] : o[4]] = there > 1
        left = self.turns.leave(line, self._turns(), self.end, self.pace, many[line])
        self.end_at[line], self.answer_at[line] = left

    def _spend(self, there: IntArray) -> None:
        """What each piece of work costs beside its base, as it follows from this round; its acks on the way."""
        o = self.offsets
        self._ack()
        acks = self.acks
        assert acks is not None
        recipients = np.zeros(self.base_s.size, dtype=np.int64)
        recipients[o[1] : o[2]] = 1
        if self.joins.user.size:
            recipients[o[2] : o[3]] = 1 + self._others()
        recipients[o[3] : o[4]] = 1 + there
        recipients[o[4] + acks.first] = acks.senders
        line = self.line
        flushes = recipients[line]
        if acks.first.size or self.says.at.size:
            flushes = self._flushed(flushes)
        extra_s = self.recipient_s[line] * recipients[line]
        woken = np.ones(line.size, dtype=np.int64)
        if self.turns is not None:
            assert self.flush_s is not None
            flushes, waits = self._in_company(flushes)
            flush_s = self.flush_s[line]
            woken += waits
            telling_s = np.zeros(self.base_s.size)
            telling_s[o[3] : o[4]] = self.says.owing_s
            answers = (line >= o[2]) & (line < o[4])
            extra_s += flush_s * waits + self.turns.spend(flushes, flush_s, telling_s[line], answers)
        extra_s += self.write_s[line] * flushes
        settled_s = np.zeros(self.base_s.size)
        settled_s[o[4] + acks.first] = self.settled_s[acks.first] * acks.settles
        extra_s += settled_s[line]
        if self.wake_s is not None:
            # A wait that ends alone wakes the loop as often as what began it.
            wake_s = self.wake_s[line]
            if self.cold_s is not None:
                slept_s = self.start - np.concatenate(([self.node.free_at], self.end[:-1]))
                wake_s += self.cold_s[line] * self.node.prices.cold(slept_s)
            extra_s += np.where(self.idle, wake_s * woken, 0.0)
        self.extra_s[line] = extra_s

    def _in_company(self, flushes: IntArray) -> tuple[IntArray, IntArray]:
        """The writes of each piece of work where many notices of delivery wait for company, and how many of them are
        waits that end alone, which are spent when they begin."""
        acks, o, line = self.acks, self.offsets, self.line
        assert acks is not None
        waits = np.zeros(line.size, dtype=np.int64)
        # What was in line follows from the round before: an ack may begin with another delivery by now.
        ack_of = np.full(self.base_s.size, -1, dtype=np.int64)
        ack_of[o[4] + acks.first] = np.arange(acks.first.size)
        notices = np.flatnonzero(ack_of[line] >= 0)
        which = ack_of[line[notices]]
        senders = acks.senders[which]
        at_once = eager(self.start[notices], senders)
        late = np.flatnonzero(at_once < senders)
        if not late.size:
            return flushes, waits
        # The senders who hear of it last are those whose notices wait.
        begins = np.searchsorted(acks.heard_ack, np.arange(acks.first.size))[which[late]]
        count = (senders - at_once)[late]
        ends = np.cumsum(count)
        place = np.arange(int(ends[-1])) + np.repeat(begins + at_once[late] - (ends - count), count)
        conn, work = acks.heard[place], np.repeat(notices[late], count)
        fans = np.isfinite(self._part(self.end_at, 3))
        own = alone(
            conn,
            self.start[work],
            self.node.load.session[conn].astype(np.int64),
            self.say_session[fans].astype(np.int64),
            self._part(self.end_at, 3)[fans],
        )
        np.add.at(waits, work[own], 1)
        flushes = flushes.copy()
        flushes[notices[late]] = at_once[late] + waits[notices[late]]
        return flushes, waits

    def _receivers(self) -> IntArray:
        """How many have joined the session when each message goes out; marks the deliveries that there are."""
        fan_at = self._part(self.start_at, 3)
        live = np.isfinite(fan_at)
        if self.node.everybody and live.all():
            self.there: BoolArray | None = None
            return (self.size - 1).astype(np.int64)
        joined_at = self.node.joined_at.copy()
        joined_at[self.joins.user] = self._part(self.start_at, 2)
        new = self.conn[self.old :]
        self.there = live[self.say] & (joined_at[new] < fan_at[self.say])
        return np.bincount(self.say[self.there], minlength=fan_at.size)

    def _others(self) -> IntArray:
        """How many are in the session when each join is answered, but for those who join."""
        load = self.node.load
        session = load.session[self.joins.user].astype(np.int64)
        order = np.lexsort((self._part(self.start_at, 2), session))
        first = np.searchsorted(session[order], session[order])
        found = np.empty(order.size, dtype=np.int64)
        found[order] = np.arange(order.size) - first
        return found + self.node.in_session[session]

    def _ack(self) -> None:
        """The acks that follow from the deliveries of this round."""
        node = self.node
        fan_end = self._part(self.end_at, 3)[self.say]
        if self.turns is not None:
            place = np.arange(self.say.size) - self.say_begins[self.say]
            fan_end -= self.turns.before_end_s(slice(self.offsets[3], self.offsets[4]), self.say, place)
        at = np.concatenate((node.pairs.at, fan_end + self.down_s))
        order = self._in_order()
        if self.there is not None:
            kept = np.concatenate((np.ones(self.old, dtype=np.bool_), self.there))
            order = order[kept[order]]
        conn, at = self.conn[order], at[order]
        first = np.ones(conn.size, dtype=np.bool_)
        np.not_equal(conn[1:], conn[:-1], out=first[1:])
        if node.varying:
            at = self._in_turn(conn, first, at, node.down_at)
        begins, sent_at = ack_moments(first, at, node.acked_at[conn], node.delay_s)
        places = np.flatnonzero(begins)
        firsts = order[places]
        ready_at = sent_at[places] + self.up_s[firsts]
        if node.varying:
            ready_at = self._in_turn(conn[places], first[places], ready_at, node.up_at)
        self.acked, self.received_at, self.begins = order, at, begins
        count = np.diff(places, append=order.size)
        senders = np.ones(places.size, dtype=np.int64)
        which = np.cumsum(begins) - 1
        sender = self.sender[order]
        fresh = begins.copy()
        several = np.flatnonzero(count[which] > 1)
        if several.size:
            several = several[np.lexsort((sender[several], which[several]))]
            new = np.ones(several.size, dtype=np.bool_)
            new[1:] = (which[several[1:]] != which[several[:-1]]) | (sender[several[1:]] != sender[several[:-1]])
            fresh[several] = new
            senders = np.bincount(which[fresh], minlength=places.size)
        heard = np.flatnonzero(fresh)
        self.acks = _Acks(sent_at[places], ready_at, firsts, count, conn[places], senders, which[heard], sender[heard])

    def _in_order(self) -> IntArray:
        """The deliveries by receiver, and of one receiver as they were sent."""
        fan_at = self._part(self.start_at, 3)[self.says_by_session]
        session = self.say_session[self.says_by_session]
        if not ((fan_at[1:] < fan_at[:-1]) & (session[1:] == session[:-1])).any():
            return self.order
        rank = np.empty(fan_at.size, dtype=np.int64)
        rank[np.argsort(self._part(self.start_at, 3), kind="stable")] = np.arange(fan_at.size)
        sent = np.concatenate((np.arange(-self.old, 0), rank[self.say]))
        return np.lexsort((sent, self.conn))

    @staticmethod
    def _in_turn(conn: IntArray, first: BoolArray, at: FloatArray, last_at: FloatArray) -> FloatArray:
        """When frames arrive that do not overtake each other on their connection, nor what came before the block."""
        at = np.where(first, np.maximum(at, last_at[conn]), at)
        while True:
            late = np.flatnonzero((at[1:] < at[:-1]) & ~first[1:])
            if not late.size:
                return at
            at[late + 1] = at[late]

    def _turns(self) -> IntArray:
        return np.cumsum(turn_starts(self.ready, self.start, self.idle)) - 1

    def _sharing(self) -> IntArray:
        """In which turn each piece of work shares its writes."""
        return self._turns() if self.turns is None else self.turns.sharing()

    def _flushed(self, flushes: IntArray) -> IntArray:
        """How many connections each piece of work in line flushes."""
        load, acks, o, line = self.node.load, self.acks, self.offsets, self.line
        assert acks is not None
        # Pings write nothing here, and a handshake to a connection that nobody else knows.
        writes = np.flatnonzero((line >= o[2]) & (flushes > 0))
        work = line[writes]
        who = np.concatenate((self.joins.user, self.says.user, self.conn))[work - o[2]]
        ack_of = np.full(self.base_s.size, -1, dtype=np.int64)
        ack_of[o[4] + acks.first] = np.arange(acks.first.size)
        begins = np.searchsorted(acks.heard_ack, np.arange(acks.first.size + 1))

        def may_share(earlier: IntArray, later: IntArray) -> BoolArray:
            return self.ready[writes[later]] <= self.start[writes[earlier]]

        def senders_of(notices: IntArray) -> tuple[IntArray, IntArray]:
            which = ack_of[work[notices]]
            known = which >= 0
            notices, which = notices[known], which[known]
            many = begins[which + 1] - begins[which]
            ends = np.cumsum(many)
            place = np.arange(int(ends[-1]) if ends.size else 0) + np.repeat(begins[which] - (ends - many), many)
            return np.repeat(notices, many), acks.heard[place]

        found = flushes.copy()
        session = load.session[who].astype(np.int64)
        shared = flushed(session, flushes[writes], work < o[4], lambda: self._sharing()[writes], may_share, senders_of)
        # Whoever joins is written to for the first time since she was welcomed.
        found[writes] = np.where(work < o[3], np.maximum(shared, 1), shared)
        return found

    def _keep(self, until: float) -> Done:
        """Put down what is final, up to `until` or the last moment before it at which the node had nothing to do: there
        a turn ends too. Where it always has something to do, one turn is cut in two."""
        node, o = self.node, self.offsets
        cut = int(np.searchsorted(self.ready, until))
        rests = np.flatnonzero(self.idle[:cut])
        if rests.size and rests[-1] > 0:
            cut = int(rests[-1])
            until = float(self.ready[cut])
        done = np.zeros(self.base_s.size, dtype=np.bool_)
        done[self.line[:cut]] = True
        node.now = until
        if cut:
            node.free_at = float(self.end[cut - 1])
            node.wait_s_max = max(node.wait_s_max, float((self.start[:cut] - self.ready[:cut]).max()))
        node.pings += int(self.pinged[done[: o[1]]].sum())
        if not node.everybody:
            self._keep_arrivals(done)
        fans = self._keep_fans(done)
        return Done(self.ready[:cut], self.end[:cut], self.cost[:cut], fans)

    def _keep_arrivals(self, done: BoolArray) -> None:
        node, o = self.node, self.offsets
        in_, joined_ = done[o[1] : o[2]], done[o[2] : o[3]]
        node.welcomed(self._part(self.start_at, 1)[in_])
        users = self.joins.user[joined_]
        node.presence_events += int(self._others()[joined_].sum())
        node.joined_at[users] = self._part(self.start_at, 2)[joined_]
        node.open_at[users] = (self._part(self.answer_at, 2) + self.joins.back_s)[joined_]
        node.in_session += np.bincount(node.load.session[users], minlength=node.in_session.size)
        old = node.joins.user.size
        under_way = ~joined_
        under_way[old:] &= in_
        waiting = self.joins._replace(ready_at=self._part(self.ready_all, 2)).take(np.flatnonzero(under_way))
        back = self.knocks.take(np.flatnonzero(~in_))
        node.joins = waiting
        node.knocks = Arriving(*joined(back, self.later))  # type: ignore[arg-type]

    def _keep_fans(self, done: BoolArray) -> Fans:
        node, o = self.node, self.offsets
        acks = self.acks
        assert acks is not None
        said = done[o[3] : o[4]]
        node.says = self.says.take(np.flatnonzero(~said))
        node.accepted += int(np.count_nonzero(said))
        old = np.ones(self.old, dtype=np.bool_)
        final = np.concatenate((old, said[self.say]))[self.acked]
        # Acks that the node has had, and the deliveries that they were for.
        had = done[o[4] + acks.first]
        node.acked_at[acks.conn[had]] = acks.sent_at[had]
        node.up_at[acks.conn[had]] = acks.ready_at[had]
        settled = had[np.cumsum(self.begins) - 1] & final if self.acked.size else final
        node.delivered += int(np.count_nonzero(settled))
        new = final & (self.acked >= self.old)
        rows, at = self.acked[new], self.received_at[new]
        if node.varying:
            # Ascending by receiver, so that the last one stays.
            node.down_at[self.conn[rows]] = at
        left = np.flatnonzero(final & ~settled)
        where = self.acked[left]
        node.pairs = Pairs(self.conn[where], self.sender[where], self.received_at[left], self.up_s[where])
        received_at = np.full(self.say.size, np.nan)
        received_at[rows - self.old] = at
        says = self.says.take(np.flatnonzero(said))
        receivers = np.bincount(self.say[rows - self.old], minlength=said.size)[said]
        acked_at = (self._part(self.answer_at, 3) + self.says.down_s)[said]
        return Fans(says.at, acked_at, node.load.group[says.user], receivers, received_at[~np.isnan(received_at)])
