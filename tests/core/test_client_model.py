"""Invariant: whatever the network does, the person sees each message once, in order, and what she says is stored once.

A client is played against a server that is a few lists, and a network that loses what is under way when a connection
ends. What the person must have seen is found by looking through those lists.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import inf

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import UNSET

from chatsim.core.client import EXPIRED, OVERLOADED, ChatClient, ClientConfig
from chatsim.core.effects import ClientEffects, Dial, HangUp, Renew, Show, Transmit
from chatsim.core.frames import (
    Ack,
    AckIn,
    ClientFrame,
    Draining,
    Error,
    Joined,
    Left,
    Message,
    Refreshed,
    Say,
    ServerFrame,
    StatusIn,
    TokenExpiring,
    Welcome,
)
from tests.frames import BODY, welcome
from tests.thorough import examples

SESSIONS = ("s", "t", "@ann")
OWN = "@ann"
IN = st.sampled_from(["s", "s", "t"])
ANY = st.sampled_from(["s", "t", OWN])
LIFE_S = 200.0
SILENCE_S = 45.0
COME_BACK = (1006, 1006, 1011, OVERLOADED, 4000, 4001, EXPIRED)
STAY_AWAY = (1000, 1009, 4500, 4501, 4502, 4503)
CONFIG = ClientConfig(renews=True)


@dataclass
class Line:
    """One session at the server: who said what, from seq 1 on, and from which seq on that can be replayed."""

    epoch: int = 1
    said: list[tuple[str, str]] = field(default_factory=list)
    kept_from: int = 1

    def message(self, session: str, seq: int, attempt: int = 1) -> Message:
        sender, _ = self.said[seq - 1]
        return Message(f"m{self.epoch}-{seq}", session, self.epoch, seq, sender, BODY, 0.0, attempt)


@dataclass
class Server:
    """What the protocol asks of a server, for one connection of one user."""

    lines: dict[str, Line] = field(default_factory=lambda: {session: Line() for session in SESSIONS})
    joined: set[str] = field(default_factory=set)
    refuses: str = ""
    connections: int = 0

    def answers(self, frame: ClientFrame) -> list[ServerFrame]:
        if isinstance(frame, Say):
            return self.stores(frame)
        if isinstance(frame, StatusIn) and frame.action == "refresh":
            return [Refreshed(expires_in_s=LIFE_S)]
        if isinstance(frame, StatusIn) and isinstance(frame.session, str):
            if frame.action == "join" and self.refuses == "unavailable":
                return [Error(self.refuses, "")]
            return self.joins(frame, frame.session) if frame.action == "join" else self.leaves(frame.session)
        return []

    def stores(self, frame: Say) -> list[ServerFrame]:
        line, said = self.lines[frame.session], ("ann", frame.id)
        duplicate = said in line.said
        if not duplicate:
            if self.refuses:
                return [Error(self.refuses, "", frame.id)]
            line.said.append(said)
        seq = line.said.index(said) + 1
        return [Ack(frame.id, f"m{line.epoch}-{seq}", frame.session, line.epoch, seq, duplicate)]

    def joins(self, frame: StatusIn, session: str) -> list[ServerFrame]:
        line = self.lines[session]
        self.joined.add(session)
        seq = len(line.said)
        last_seq = frame.last_seq if isinstance(frame.last_seq, int) and frame.epoch == line.epoch else None
        recovered = last_seq is not None and line.kept_from - 1 <= last_seq <= seq
        missed = range(last_seq + 1, seq + 1) if recovered and last_seq is not None else ()
        answer = Joined(
            session=session, epoch=line.epoch, seq=seq, recovered=recovered, replayed=len(missed), participants=()
        )
        return [answer, *(line.message(session, one, 2) for one in missed)]

    def leaves(self, session: str) -> list[ServerFrame]:
        if session not in self.joined:
            return [Error("not_a_participant", "")]
        self.joined.discard(session)
        return [Left(session=session, reason="left")]


class Talk(RuleBasedStateMachine):
    """One client, its person, the network and the server."""

    def __init__(self) -> None:
        super().__init__()
        self.client = ChatClient(CONFIG, user="ann", seed=1)
        self.server = Server()
        self.now = 0.0
        self.up: list[ClientFrame] = []
        self.down: list[ServerFrame] = []
        self.dial_at = self.renew_at = inf
        self.is_open = self.stopped = self.is_mute = False
        self.opened_at = self.heard_at = 0.0
        self.token_until = 0.0
        self.fresh = False
        self.failures = 0
        self.reconnect_after_s: float | None = None
        # The person: what she said (and what became of it), what she saw, and what she need not see.
        self.said: dict[str, str] = {}
        self.answers: Counter[str] = Counter()
        self.seen: dict[str, list[tuple[int, int]]] = {session: [] for session in SESSIONS}
        self.excused: dict[str, tuple[int, int]] = {}
        # What came of her own session on this connection.
        self.handed: set[tuple[int, int]] = set()
        # What came and is not acked yet, with when it came.
        self.owed: list[tuple[float, str, int, int]] = []

    # The shell.

    def do(self, effects: ClientEffects) -> None:
        for effect in effects:
            if isinstance(effect, Transmit):
                assert self.is_open
                self.transmitted(effect.message)
            elif isinstance(effect, HangUp):
                self.hung_up(effect.code)
            elif isinstance(effect, Dial):
                assert not self.is_open
                assert self.fresh or self.token_until >= self.now + effect.after_s + CONFIG.renew_before_s
                self.dial_at = self.now + effect.after_s
            elif isinstance(effect, Renew):
                assert self.renew_at == inf, "one at a time"
                assert 0.0 <= effect.after_s <= CONFIG.backoff_s_max
                self.renew_at = self.now + effect.after_s
            elif isinstance(effect, Show):
                self.shown(effect.message)

    def transmitted(self, frame: ClientFrame) -> None:
        self.up.append(frame)
        if isinstance(frame, AckIn):
            assert isinstance(frame.session, str)
            assert isinstance(frame.up_to, int)
            session, up_to, epoch = frame.session, frame.up_to, self.server.lines[frame.session].epoch
            self.owed = [one for one in self.owed if one[1] != session or one[3] > up_to]
            # What is acked was shown, or need not be.
            if self.seen[session] and self.seen[session][-1][0] == epoch:
                assert self.must_see(session, up_to) <= set(self.seen[session])
        elif isinstance(frame, StatusIn) and frame.action == "join":
            self.asked_to_join(frame)

    def asked_to_join(self, frame: StatusIn) -> None:
        """The client says how far it is, if it was ever told, and is no further than what was shown."""
        assert isinstance(frame.session, str)
        if frame.session not in self.excused:
            assert frame.last_seq is UNSET
            return
        epoch, after = self.excused[frame.session]
        assert frame.epoch == epoch
        assert isinstance(frame.last_seq, int)
        assert frame.last_seq >= max(after, *(seq for place, seq in self.seen[frame.session] if place == epoch), 0)
        assert self.must_see(frame.session, frame.last_seq) <= set(self.seen[frame.session])

    def shown(self, frame: ServerFrame) -> None:
        if isinstance(frame, Message):
            place = (frame.epoch, frame.seq)
            assert all(place > earlier for earlier in self.seen[frame.session][-1:]), "once, and in order"
            self.seen[frame.session].append(place)
        elif isinstance(frame, Ack):
            self.answers[frame.id] += 1
            assert self.answers[frame.id] == 1, "an ack is shown once"

    def hung_up(self, code: int) -> None:
        """The client has closed, and the shell tells it nothing more of this connection."""
        self.is_open = False
        self.lose()
        if code == 4001:
            assert self.now >= self.heard_at + SILENCE_S
            self.failures = 0 if self.now - self.opened_at >= 60.0 else self.failures
            self.failures += 1
            self.reconnect_after_s = None
        else:
            self.stopped = True

    def lose(self) -> None:
        """Whatever is under way does not come."""
        self.up, self.down, self.owed = [], [], []
        self.handed.clear()
        self.server.joined.clear()

    def must_see(self, session: str, up_to: int | float = inf) -> set[tuple[int, int]]:
        """The others' messages from where she began."""
        line = self.server.lines[session]
        if session not in self.excused:
            return set()
        epoch, after = self.excused[session]
        return {
            (epoch, seq)
            for seq, (sender, _) in enumerate(line.said, 1)
            if epoch == line.epoch and after < seq <= up_to and sender != "ann"
        }

    # The person.

    @initialize()
    def begins(self) -> None:
        self.do(self.client.start(0.0))
        for session in ("s", "t"):
            self.do(self.client.join(0.0, session))

    @rule(session=IN)
    def join(self, session: str) -> None:
        if not self.stopped:
            self.do(self.client.join(self.now, session))

    @rule(session=IN)
    def leave(self, session: str) -> None:
        self.excused.pop(session, None)
        self.owed = [one for one in self.owed if one[1] != session]
        self.do(self.client.leave(self.now, session))

    @rule(session=IN, stays=st.booleans(), says=st.booleans())
    def comes_and_goes(self, session: str, stays: bool, says: bool) -> None:
        """Faster than the network carries it."""
        if self.stopped:
            return
        self.leave(session)
        self.join(session)
        if says:
            self.say(session)
        if not stays:
            self.leave(session)
        self.sends_again(session, 0)

    @rule(forgets=st.booleans())
    def own_news_while_coming_back(self, forgets: bool) -> None:
        """The connection is lost; on the next, what is live in her own session comes before what she asks for."""
        self.somebody_says(OWN, 1)
        while self.up or self.down:
            self.frames_arrive(8)
        if not self.is_open:
            return
        self.close(1006)
        self.somebody_says(OWN, 1)
        if forgets:
            self.forgets(OWN)
        if self.dial_at < inf:
            self.time_passes(max(self.dial_at - self.now, 0.0))
            self.dial(101)
            self.somebody_says(OWN, 1)

    @rule(session=ANY)
    def say(self, session: str) -> None:
        id_ = f"a{len(self.said)}"
        self.said[id_] = session
        self.do(self.client.say(self.now, id_, session, BODY))

    # The network.

    @precondition(lambda self: self.dial_at < inf)
    @rule(status=st.sampled_from([101, 101, 101, 0, 503, 429, 401]))
    def dial(self, status: int) -> None:
        if self.stopped or self.dial_at > self.now or self.is_open:
            return
        self.dial_at = inf
        if status == 101:
            self.is_open, self.opened_at, self.heard_at = True, self.now, self.now
            self.fresh = False
            self.do(self.client.opened(self.now))
            self.server.connections += 1
            self.server.joined.add(OWN)
            self.down.append(welcome(f"c{self.server.connections}", "ann", expires_in_s=self.token_until - self.now))
            return
        effects = self.client.refused(self.now, status)
        if status == 401 and self.fresh:
            self.stopped = True
            assert effects == ()
        elif status == 401:
            self.token_until = -inf
        else:
            self.bounded(effects, None)
        self.do(effects)

    def bounded(self, effects: ClientEffects, after_s: float | None) -> None:
        """A dial comes after the backoff, or when the server has said; or a renewal comes first."""
        for effect in effects:
            if isinstance(effect, Dial) and after_s is not None:
                assert effect.after_s == after_s
            elif isinstance(effect, Dial):
                assert 0.5 <= effect.after_s <= min(30.0, 0.5 + min(30.0, 0.5 * 2.0**self.failures))
        assert any(isinstance(effect, Dial | Renew) for effect in effects) or self.renew_at < inf
        self.failures += 1

    @precondition(lambda self: self.is_open)
    @rule(code=st.sampled_from(COME_BACK * 3 + STAY_AWAY[:1]))
    def close(self, code: int) -> None:
        self.is_open = False
        self.lose()
        if self.now - self.opened_at >= CONFIG.stable_after_s:
            self.failures = 0
        effects = self.client.closed(self.now, code)
        after_s, self.reconnect_after_s = self.reconnect_after_s, None
        if code in STAY_AWAY:
            self.stopped = True
            assert effects == ()
            return
        if code == OVERLOADED:
            self.failures += 4
        if code == EXPIRED:
            self.token_until = -inf
        self.bounded(effects, after_s)
        self.do(effects)

    @precondition(lambda self: self.dial_at < inf)
    @rule(times=st.integers(2, 6))
    def outage(self, times: int) -> None:
        """Nobody answers for a while; then all is well for long enough to begin anew, and is lost."""
        for status in [0] * times + [101]:
            for _ in range(2):
                if self.dial_at < inf:
                    self.time_passes(max(self.dial_at - self.now, 0.0))
                self.dial(status if self.dial_at <= self.now else 0)
                if self.renew_at < inf:
                    self.time_passes(max(self.renew_at - self.now, 0.0))
                    self.renewal_ends(True)
        if self.is_open:
            self.is_mute = False
            self.time_passes(70.0)
            self.close(1006)

    @precondition(lambda self: bool(self.up or self.down))
    @rule(count=st.integers(1, 8))
    def frames_arrive(self, count: int) -> None:
        for _ in range(count):
            if self.up:
                self.down += self.server.answers(self.up.pop(0))
            if self.down:
                self.receive(self.down.pop(0))

    def receive(self, frame: ServerFrame) -> None:
        self.heard_at = self.now
        if isinstance(frame, Joined) and self.client.wants(frame.session):
            known = self.excused.get(frame.session)
            if known is None or known[0] != frame.epoch or not frame.recovered:
                self.excused[frame.session] = (frame.epoch, frame.seq)
        elif isinstance(frame, Message) and frame.session == OWN:
            # Nobody asks for it: it begins with what is heard of it first.
            self.excused.setdefault(OWN, (frame.epoch, frame.seq - 1))
            if frame.sender != "ann" and frame.attempt == 1:
                self.handed.add((frame.epoch, frame.seq))
        elif isinstance(frame, Draining):
            self.reconnect_after_s = frame.reconnect_after_ms / 1000
        elif isinstance(frame, Welcome | TokenExpiring | Refreshed):
            self.token_until = self.now + frame.expires_in_s
        elif isinstance(frame, Error) and isinstance(frame.id, str) and frame.code == "rate_limited":
            self.said.pop(frame.id, None)
        effects = self.client.receive(self.now, frame)
        if isinstance(frame, Message) and frame.sender != "ann" and self.client.joined(frame.session):
            self.owed.append((self.now, frame.session, frame.epoch, frame.seq))
        self.do(effects)

    @rule(worked=st.booleans())
    def renewal_ends(self, worked: bool) -> None:
        if self.renew_at > self.now:
            return
        self.renew_at = inf
        if worked:
            self.token_until, self.fresh = self.now + LIFE_S, True
            self.do(self.client.renewed(self.now, "token", LIFE_S))
        elif not self.stopped:
            effects = self.client.renewal_failed(self.now)
            assert any(isinstance(effect, Renew) and effect.after_s >= 0.5 for effect in effects)
            self.do(effects)

    # The server.

    @rule(session=ANY, count=st.integers(1, 3))
    def somebody_says(self, session: str, count: int) -> None:
        line = self.server.lines[session]
        for _ in range(count):
            line.said.append(("bob", ""))
            if session in self.server.joined:
                self.down.append(line.message(session, len(line.said)))

    @rule(session=ANY, back=st.integers(0, 3))
    def sends_again(self, session: str, back: int) -> None:
        """A retry, of whatever it thinks is not acked; the first send on this connection may have been lost to it."""
        line = self.server.lines[session]
        top = max((seq for epoch, seq in self.seen[session] if epoch == line.epoch), default=0)
        if session in self.server.joined and top > back and line.said[top - back - 1][0] == "bob":
            self.down.append(line.message(session, top - back, 2))

    @rule(session=ANY)
    def forgets(self, session: str) -> None:
        self.server.lines[session].kept_from = len(self.server.lines[session].said) + 1

    @rule(session=ANY)
    def begins_anew(self, session: str) -> None:
        """The node lost its log: positions mean nothing any more."""
        if self.is_open:
            self.close(1012)
        self.server.lines[session] = Line(self.server.lines[session].epoch + 1)

    @rule(refuses=st.sampled_from(["", "", "", "unavailable", "rate_limited"]))
    def is_busy(self, refuses: str) -> None:
        self.server.refuses = refuses

    @precondition(lambda self: self.is_open and self.client.connection)
    @rule(after_ms=st.integers(0, 3000))
    def drains(self, after_ms: int) -> None:
        self.down.append(Draining(reconnect_after_ms=after_ms))

    @precondition(lambda self: self.is_open and self.client.connection)
    @rule()
    def warns(self) -> None:
        self.down.append(TokenExpiring(expires_in_s=60.0))

    @rule(session=IN)
    def cannot_store(self, session: str) -> None:
        """The log is away for a moment: what is said just then is to be said again."""
        self.server.refuses = "unavailable"
        self.say(session)
        while self.up or self.down:
            self.frames_arrive(8)
        self.server.refuses = ""

    @rule(is_mute=st.booleans())
    def falls_silent(self, is_mute: bool) -> None:
        self.is_mute = is_mute

    # Time.

    @rule(gap_s=st.sampled_from([0.05, 0.1, 0.2, 1.0, 5.0, 30.0, 50.0, 70.0]))
    def time_passes(self, gap_s: float) -> None:
        until = self.now + gap_s
        while self.now < until:
            # The server pings, unless the network is dead.
            if self.is_open and not self.is_mute:
                self.heard_at = self.now
                self.client.heard(self.now)
            self.now = min(until, max(self.now, self.client.wake_at()), self.now + 30.0)
            if self.client.wake_at() <= self.now:
                self.do(self.client.wake(self.now))
            assert self.client.wake_at() > self.now

    @precondition(lambda self: not self.stopped)
    @rule()
    def all_settles(self) -> None:
        """The network holds for a while, and nobody says anything."""
        self.server.refuses = ""
        for _ in range(200):
            self.renewal_ends(True)
            self.dial(101)
            while self.up or self.down:
                self.frames_arrive(8)
            next_at = min(self.client.wake_at(), self.dial_at, self.renew_at)
            if next_at > self.now + 31.0:
                break
            self.time_passes(max(next_at - self.now, 0.0))
        assert self.is_open
        assert self.client.unacked == 0
        assert self.handed <= set(self.seen[OWN])
        for id_, session in self.said.items():
            assert self.answers[id_] == 1
            assert Counter(self.server.lines[session].said)["ann", id_] <= 1
        for session in SESSIONS:
            if self.client.wants(session):
                assert self.client.joined(session)
                assert self.must_see(session) <= set(self.seen[session])

    @invariant()
    def acks_come_within_200_ms(self) -> None:
        assert all(self.now <= at + CONFIG.ack_delay_s for at, *_ in self.owed)

    @invariant()
    def nothing_unacked_is_forgotten(self) -> None:
        assert all(self.client.pending(id_) for id_ in self.said if not self.answers[id_])

    @invariant()
    def who_is_stopped_stays_so(self) -> None:
        if self.stopped:
            assert self.client.state == "idle"
            assert self.client.wake_at() == inf
        elif self.is_open:
            assert self.client.wake_at() <= self.heard_at + SILENCE_S or not self.client.connection


Talk.TestCase.settings = examples(200, stateful_step_count=50)
TestTalk = Talk.TestCase
