"""One simulated node: the real handler behind an event loop of costs, a log with a latency, and pipes to the crowd.

It is the simulation's shell: it takes the moment at which work starts, calls the handler, and performs the effects
when that work ends.
Rule: every input of the handler goes through `_work`, in the order in which it became ready; nothing about the
protocol is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import expm1, inf
from typing import Any, Protocol

from chatsim.core.admission import Admission
from chatsim.core.effects import NOTHING, Append, Close, Effects, Note, Ping, Record, Send, Tell, Watch
from chatsim.core.frames import (
    AckIn,
    ClientFrame,
    Delivered,
    HeartbeatIn,
    Message,
    PresenceIn,
    Say,
    ServerFrame,
    StatusIn,
    TypingIn,
    encode,
)
from chatsim.core.handler import ChatHandler
from chatsim.core.kept_log import KeptLog
from chatsim.core.memory_log import MemoryLog
from chatsim.core.snapshot import Snapshot
from chatsim.core.tokens import Claims, Refusal, untimely
from chatsim.people.script import SETTLE_S
from chatsim.people.streams import Draws, Streams
from chatsim.scenario.costs import FINER, OF_COMMITS, WORDS, Collections, Costs
from chatsim.scenario.distributions import Distribution
from chatsim.sim.alarm import Alarm
from chatsim.sim.commits import Commits, CommitTime
from chatsim.sim.company import Company
from chatsim.sim.engine import Engine
from chatsim.sim.event_loop import EventLoop
from chatsim.sim.pipe import Pipe, frame_bytes
from chatsim.sim.turn import Turn

DRAIN_S_MAX = 30.0
"""The hard stop of a draining node (protocol.md, section 3)."""

FRAME_BYTES_MAX = 512
"""A message's frame without its body has no more: an id of 64 characters, and a session of 128."""

FRAMES: dict[str, type[ClientFrame]] = {
    "frame_ack": AckIn,
    "frame_typing": TypingIn,
    "frame_presence": PresenceIn,
    "frame_heartbeat": HeartbeatIn,
    "frame_status": StatusIn,
}
"""What each of the costs by type is the cost of."""

_REVOKED = Refusal("token_revoked", "the token was revoked")

CLOSE_S_MAX = 5.0
"""How long a closing connection may take to flush and to answer the close (protocol.md, section 3)."""


class Observer(Protocol):
    """Who sees every step of the handler: a tally, a journal."""

    def step(self, now: float, door: str, args: tuple[Any, ...], effects: Effects) -> None:
        """One input and what came of it."""


class CrowdSide(Protocol):
    """What the node calls when something reaches a device."""

    def deliver(self, now: float, pipes: Sequence[Pipe], frame: ServerFrame) -> None:
        """A frame arrived at each of these."""

    def pinged(self, now: float, pipes: Sequence[Pipe], _: Any) -> None:
        """A ping arrived at each of these; `Node.ponged` is the answer."""

    def closed(self, now: float, pipes: Sequence[Pipe], code: int) -> None:
        """A close frame arrived at each of these."""

    def turned_away(self, now: float, pipe: Pipe, _: Any) -> None:
        """The connection is found to be cut before it was open."""

    def cut(self, now: float, pipe: Pipe, _: Any) -> None:
        """The connection is found to be cut."""


class Node:
    """A node whose parts cost the given time (s of its event loop)."""

    def __init__(
        self,
        engine: Engine,
        handler: ChatHandler,
        streams: Streams,
        costs: Costs,
        log_latency: Distribution,
        observers: tuple[Observer, ...],
        log: MemoryLog | None = None,
        *,
        durable: bool = False,
        loop: EventLoop | None = None,
    ) -> None:
        """`log` is a `KeptLog` where the node is to begin again after an end; else it forgets. `durable` has it commit
        many records together, as the log that lasts does: a commit takes the log's latency and what `costs` says.
        `loop` is one that measures, for whoever asks."""
        self.engine = engine
        self.loop = EventLoop() if loop is None else loop
        self.log = MemoryLog() if log is None else log
        self.up = True
        self.on_begin: Callable[[Snapshot], None] = lambda snapshot: None
        # Hears when a user asked to be let in, the former connection that she named, and why she is not ("": she is).
        self.on_knock: Callable[[float, str, str, str], None] = lambda now, user, former, reason: None
        self._life = 0
        self._orders_waiting = 0
        self._draining_since = inf
        self._down_s = 0.0
        self.log_down_until = -inf
        self.pipes: dict[str, Pipe] = {}
        # Those that were told that it is over, until they have answered or patience is.
        self._parting: dict[str, Pipe] = {}
        # Those who have a way here, and whose request is on it.
        self.knocking: dict[str, Pipe] = {}
        self.limits = False
        self._crowd: CrowdSide
        self.closed_at: dict[str, float] = {}
        self._observers = observers
        self._admission = Admission(handler.config, seed=0)
        self._alarm = Alarm(engine, self._wake, 0.0 if costs.timer_step is None else costs.timer_step.mean)
        self._take(handler)
        self._cost = 0.0
        self._out: list[Send | Ping | Close | Watch] = []
        # What was delivered by frames that are read at once, by whom to tell of it, session and receiver.
        self._held: dict[tuple[tuple[str, ...], str, str], list[str]] | None = None
        self._collections = costs.collect if isinstance(costs.collect, Collections) else None
        finer = (*FINER, *OF_COMMITS)
        told_apart = [word for word in finer if isinstance(getattr(costs, word), Distribution)]
        self._cold_after_s = inf if costs.cold_after is None else costs.cold_after.mean
        self._draws = {word: streams.draws(f"cost/{word}", 0, getattr(costs, word)) for word in (*WORDS, *told_apart)}
        self._fixed: dict[str, float | None] = dict.fromkeys(finer, 0.0)
        self._fixed |= {word: draws.constant for word, draws in self._draws.items()}
        if costs.pace is not None and costs.pace_hold is not None:
            paces = streams.draws("cost/pace", 0, costs.pace)
            self.loop.waver(paces.next, streams.draws("cost/pace_hold", 0, costs.pace_hold).next)
        self._log_latency = streams.draws("log/latency", 0, log_latency)
        self._at = engine.at
        self._frame_s, self._recipient_s, self._write_s, self._ping_s, self._append_s = (
            self._rate(word) for word in ("frame", "recipient", "write", "ping", "append")
        )

        self._price(durable=durable)
        self._plain = isinstance(self._recipient_s, float) and isinstance(self._write_s, float) and not self._owes
        takes = CommitTime(costs, self.cost_s, self._log_latency)
        self.commits = Commits(engine, takes, self._committed, takes.on(self.loop)) if durable else None

    def _price(self, *, durable: bool) -> None:
        """Where costs are told apart more finely, the rough ones are looked up and no longer plain numbers."""
        draws = self._draws
        self._turn = Turn()
        # What it costs that many owe an ack, which is spent between the sender's own and the writes to them (s).
        self._telling_s = 0.0
        self._company, self._awaited = Company(), False
        self._waking, self._chilling = draws.get("wake"), draws.get("cold")
        self._flushing, self._collecting = draws.get("flush"), draws.get("collect")
        self._owes = "owed" in draws or "settled" in draws
        self._by_type = {kind: draws[word] for word, kind in FRAMES.items() if word in draws}
        if self._by_type or self._waking is not None:
            self._frame_s = draws["frame"]
        if self._flushing is not None:
            # So that no answer is charged and sent off in one go.
            self._write_s = draws["write"]
        self._appending = draws["append_durable"] if durable and "append_durable" in draws else draws["append"]
        collects = self._collecting is not None or self._collections is not None
        if collects or self._appending is not draws["append"]:
            self._append_s = self._appending

    def _take(self, handler: ChatHandler) -> None:
        self.handler = handler
        # A new life counts anew, as a new process does.
        self.departed: dict[int, int] = {}
        self.handshakes_refused: dict[str, int] = {}
        self._posted = self._stored = 0
        self._receive = handler.receive
        self._wake_at = handler.wake_at
        # What is around a body is no more than this.
        self._bytes_max = handler.config.message_bytes_max
        self._fits_bytes = self._bytes_max - FRAME_BYTES_MAX

    def serve(self, crowd: CrowdSide) -> None:
        """Know who is at the other end."""
        self._crowd = crowd
        self._deliver = crowd.deliver

    def _rate(self, word: str) -> float | Draws:
        fixed = self._fixed[word]
        return self._draws[word] if fixed is None else fixed

    def queued_bytes(self, now: float) -> float:
        """Bytes that wait for the bandwidth of a link, whoever they are for."""
        return sum(pipe.queued_bytes(now) for pipe in self.pipes.values())

    def cost_s(self, word: str) -> float:
        """What one piece of work of this kind costs now."""
        fixed = self._fixed[word]
        return self._draws[word].next() if fixed is None else fixed

    def _frame_cost_s(self, start_at: float, frame: ClientFrame) -> float:
        """What a frame costs where that is drawn, or depends on its type or on whether the loop was asleep."""
        draws = self._by_type.get(type(frame)) or self._draws["frame"]
        return draws.next() + self._waking_s(start_at)

    def _waking_s(self, start_at: float) -> float:
        """What it costs that work starts now: something only where the loop has had nothing to do before."""
        slept_s = start_at - self.loop.free_at
        if self._waking is None or slept_s <= 0.0:
            return 0.0
        if self._chilling is None:
            return self._waking.next()
        return self._waking.next() + self._chilling.next() * -expm1(-slept_s / self._cold_after_s)

    def _appending_s(self) -> float:
        """What an append costs where that is drawn, or the cycle collector may run."""
        cost_s = self._appending.next()
        if self._collections is not None:
            self._stored += 1
            return cost_s + self._collections.pause_s(self._stored)
        return cost_s if self._collecting is None else cost_s + self._collecting.next()

    def _owing_s(self, send: Send) -> float:
        """What it costs beside the writing that a message is owed to somebody, or that somebody has acked it."""
        message = send.message
        if message.__class__ is Message:
            return self._many_s("owed", len(send.to))
        if message.__class__ is Delivered:
            return self._many_s("settled", len(message.message_ids))
        return 0.0

    def _many_s(self, word: str, count: int) -> float:
        fixed = self._fixed[word]
        return fixed * count if fixed is not None else sum((self._draws[word].next() for _ in range(count)), 0.0)

    # Inputs, as the crowd's links bring them.

    def opened(self, now: float, pipe: Pipe, claims: Claims, cost_s: float) -> float:
        """A handshake with a good token arrived; returns when the answer leaves."""
        pipe.server_open = True
        self.pipes[pipe.name] = pipe
        return self._work(now, cost_s, "connect", self.handler.connect, pipe.name, claims)

    def no_room(self, now: float, user: str, former: str) -> tuple[str, int]:
        """For a handshake of this user with a good token: why there is no room and when to come back (whole s); ""
        where there is. `former` is the name of the client's last connection, if it had one."""
        # Every name that a client has had was given by this node; who is forgotten in this life is not young in it.
        back = former != "" and self.handler.remembers(now, user, earlier=self._life > 0)
        reason = self._admission.refusal(
            now, connections=len(self.pipes) + len(self._parting), draining=self.draining, back=back
        )
        self.on_knock(now, user, former, reason or "")
        return ("", 0) if reason is None else (reason, self._admission.retry_after_s())

    def refused(self, now: float, cost_s: float, reason: str) -> float:
        """A handshake that is refused with this error code arrived; returns when the answer leaves."""
        self.handshakes_refused[reason] = self.handshakes_refused.get(reason, 0) + 1
        return self.loop.end(self.loop.start(now), cost_s)

    def arrived(self, now: float, pipe: Pipe, frame: ClientFrame) -> None:
        """A frame arrived from the crowd."""
        if not pipe.server_open:
            return
        if frame.__class__ is AckIn and self._held is None and self.engine.is_next(now, pipe):
            self._read(now, pipe, frame)
            return
        # Without a body a frame is small, and fits where there is room for anything.
        size = len(frame.body) if frame.__class__ is Say else 0
        if size > self._fits_bytes and len(encode(frame)) > self._bytes_max:
            text = f"a message has at most {self._bytes_max} bytes"
            self._work(now, self.cost_s("frame"), "malformed", self.handler.malformed, pipe.name, "too_large", text)
            return
        # This is `_work` written out: most of a run is spent here.
        if self._alarm.rings_at <= now:
            self._wake(now, self._alarm.rings_at, None)
        loop = self.loop
        start_at = loop.start(now)
        cost = self._frame_s
        self._cost = cost_s = cost if cost.__class__ is float else self._frame_cost_s(start_at, frame)
        effects = self._receive(start_at, pipe.name, frame)
        for observer in self._observers:
            observer.step(start_at, "receive", (pipe.name, frame), effects)
        effect = effects[0] if effects else None
        if effect is None:
            # Nothing to do now: what it has put on the handler's line may come sooner than all else all the same.
            loop.end(start_at, cost_s)
        elif effect.__class__ is Send and len(effects) == len(effect.to) == 1 and self._plain and self._held is None:
            self._answer(start_at, cost_s, effect)
        else:
            self._sort_out(start_at, effects)
            end_at = loop.end(start_at, self._cost)
            if self._out:
                out, self._out = self._out, []
                self._depart(end_at, out)
        wake_at = self._wake_at()
        if wake_at < self._alarm.due_at:
            self._alarm.set(wake_at)

    def _read(self, now: float, pipe: Pipe, first: ClientFrame) -> None:
        """Frames of one connection that come in at one moment are one read, as a socket has it: notices of delivery
        wait for more of their kind, until all is read or something else is said. A pong among them says nothing."""
        self._held = {}
        self.arrived(now, pipe, first)
        while True:
            frame: ClientFrame | None = self.engine.take(now, self.arrived, pipe)
            if frame is not None:
                self.arrived(now, pipe, frame)
            elif self.engine.take_one(now, self.ponged, pipe):
                self.ponged(now, (pipe,), None)
            else:
                break
        start_at = self.loop.start(now)
        self._cost = 0.0
        self._let_go()
        self._held = None
        end_at = self.loop.end(start_at, self._cost)
        out, self._out = self._out, []
        self._depart(end_at, out)

    def _keeps(self, effect: Send | Close) -> bool:
        """Whether the effect waits for more of its kind; where it does not, what has waited goes first."""
        held = self._held
        if held is None:
            return False
        if not isinstance(effect, Send) or not isinstance(effect.message, Delivered):
            self._let_go()
            return False
        notice = effect.message
        held.setdefault((effect.to, notice.session, notice.user), []).extend(notice.message_ids)
        return True

    def _let_go(self) -> None:
        """Whoever has several messages of a sender by now is told of in one frame."""
        assert self._held is not None
        for (to, session, user), message_ids in self._held.items():
            send = Send(to, Delivered(session=session, user=user, message_ids=tuple(message_ids)))
            self._charge(send)
            self._out.append(send)
        self._held.clear()

    def _answer(self, start_at: float, cost_s: float, effect: Send) -> None:
        """One frame to one connection, where costs are fixed: charged and sent off in one go."""
        pipe = self.pipes[effect.to[0]]
        cost_s += self._recipient_s  # type: ignore[operator]
        if pipe.turn != self.loop.turn:
            pipe.turn = self.loop.turn
            cost_s += self._write_s  # type: ignore[operator]
        end_at = self.loop.end(start_at, cost_s)
        if self.limits:
            self._leave_limited(end_at, (pipe,), effect.message)
        else:
            self._at(pipe.arrival(end_at, 0), self._deliver, (pipe,), effect.message)

    def garbled(self, now: float, pipe: Pipe, found: tuple[str, str]) -> None:
        """Bytes that are no frame arrived: `found` is the code and the detail of what is wrong with them."""
        if pipe.server_open:
            self._work(now, self.cost_s("frame"), "malformed", self.handler.malformed, pipe.name, *found)

    def ponged(self, now: float, pipes: Sequence[Pipe], _: Any) -> None:
        """A pong arrived from each of these; their cost is part of the pings'."""
        start_at = self.loop.start(now)
        pong, observers = self.handler.pong, self._observers
        for pipe in pipes:
            if pipe.server_open:
                pong(start_at, pipe.name)
                for observer in observers:
                    observer.step(start_at, "pong", (pipe.name,), NOTHING)

    def hung_up(self, now: float, pipe: Pipe, code: int) -> None:
        """The peer's closing arrived, with its close code."""
        if self._alarm.rings_at <= now:
            # What is due at this moment comes first, and may close this very connection.
            self._wake(now, self._alarm.rings_at, None)
        pipe.hung_up = True
        if not pipe.server_open:
            # Somebody who has gone answers no close, and is not waited for.
            self.let_go(now, pipe, None)
        else:
            pipe.server_open = False
            pipe.break_off()
            self.departed[code] = self.departed.get(code, 0) + 1
            self._work(now, 0.0, "disconnect", self.handler.disconnect, pipe.name)
            del self.pipes[pipe.name]
            self._drained(now)

    def let_go(self, now: float, pipe: Pipe, _: Any) -> None:
        """The peer's answer to a close arrived."""
        if self._parting.pop(pipe.name, None) is not None:
            self._drained(now)

    def _drop(self, now: float, pipe: Pipe, _: Any) -> None:
        """The peer has not answered a close in time: what still waits for it here is lost."""
        if pipe.name in self._parting:
            pipe.break_off()
            self.engine.at(pipe.down.breaks(now), self._crowd.cut, pipe)
            self.let_go(now, pipe, None)

    def revoke(self, now: float, jtis: Callable[[], Sequence[str]], _: Any = None) -> None:
        """The order to revoke the tokens of these names, which are asked for when somebody is there to take it; whoever
        gives it tries again until then."""
        if not self.up:
            self.engine.at(now + SETTLE_S, self.revoke, jtis)
            return
        for jti in jtis():
            self._work(now, 0.0, "revoke", self.handler.revoke, jti, None)

    def order(self, now: float, door: str, args: tuple[Any, ...]) -> None:
        """An order that came over HTTP, by the name of the handler's method; whoever gives it tries again until
        somebody is there to take it. What is tried again at this very moment was given before, and is done before."""
        if not self.up or self._orders_waiting:
            self._orders_waiting += 1
            self.engine.at(now if self.up else now + SETTLE_S, self._try_order, door, args)
            return
        self._obey(now, door, args)

    def _try_order(self, now: float, door: str, args: tuple[Any, ...]) -> None:
        if not self.up:
            self.engine.at(now + SETTLE_S, self._try_order, door, args)
            return
        self._orders_waiting -= 1
        self._obey(now, door, args)

    def _obey(self, now: float, door: str, args: tuple[Any, ...]) -> None:
        if door == "post":
            self._posted += 1
            user, body = args
            args = user, f"p{self._posted}", body
        self._work(now, 0.0, door, getattr(self.handler, door), *args)

    def judged(self, now: float, claims: Claims) -> Refusal | None:
        """Why a genuine token that arrives now is refused, by this node's clock or as revoked; None if it is good."""
        refusal = untimely(claims, self.handler.wall(self.loop.start(now)))
        return _REVOKED if refusal is None and self.handler.revoked(claims) else refusal

    def refreshed(self, now: float, pipe: Pipe, claims: Claims) -> None:
        """A new token arrived on an open connection: it is genuine, and judged as at the door."""
        if not pipe.server_open:
            return
        refusal = self.judged(now, claims)
        if refusal is None:
            self._work(now, self.cost_s("verify"), "refresh", self.handler.refresh, pipe.name, claims)
        else:
            self.refresh_refused(now, pipe, refusal.code)

    def refresh_refused(self, now: float, pipe: Pipe, code: str) -> None:
        """A new token arrived on a connection that was open, and is refused with this error code."""
        if pipe.server_open:
            self._work(now, self.cost_s("verify"), "refuse_refresh", self.handler.refuse_refresh, pipe.name, code)

    def clock_jump(self, now: float, by_s: float) -> None:
        """The node's wall clock is set so far ahead (back, if negative); the crowd's and the token issuer's stay."""
        if not self.up:
            # The clock is the machine's, and the next life takes it over.
            self.handler.clock_jump(now, by_s)
            return
        self._work(now, 0.0, "clock_jump", self.handler.clock_jump, by_s)

    # The shell's cycle: start, call the core, perform the effects, re-arm.

    def _work(self, ready_at: float, cost_s: float, door: str, call: Callable[..., Effects], *args: Any) -> float:
        # What is due is done before what arrives at the same moment, as a loop runs its timers before it reads.
        if self._alarm.rings_at <= ready_at:
            self._wake(ready_at, self._alarm.rings_at, None)
        loop = self.loop
        start_at = loop.start(ready_at)
        self._cost = cost_s if self._waking is None else cost_s + self._waking_s(start_at)
        effects = call(start_at, *args)
        for observer in self._observers:
            observer.step(start_at, door, args, effects)
        if effects:
            self._sort_out(start_at, effects)
        end_at = loop.end(start_at, self._cost)
        if self._out:
            out, self._out = self._out, []
            self._depart(end_at, out)
        wake_at = self.handler.wake_at()
        if wake_at < self._alarm.due_at:
            self._alarm.set(wake_at)
        return end_at

    # Ends and beginnings.

    def drain(self, now: float, down_s: float) -> bool:
        """The node is told to end in order; when everybody has gone, or patience has, it is down for `down_s`.

        Returns whether it was there to be told.
        """
        if not self.up or self.draining:
            return False
        self._draining_since, self._down_s = now, down_s
        self.engine.at(now + DRAIN_S_MAX, self._out_of_patience, self._life)
        self._work(now, 0.0, "drain", self.handler.drain)
        self._drained(now)
        return True

    @property
    def draining(self) -> bool:
        """Whether the node is on its way out, and takes nobody in."""
        return self._draining_since < inf

    def crash(self, now: float, down_s: float) -> bool:
        """The node ends at once: nothing more is stored or sent, and whoever is connected finds the connection cut.

        Returns whether it was there to end.
        """
        if not self.up:
            return False
        self.up = False
        self._life += 1
        self._alarm.clear()
        self._draining_since = inf
        for pipe in self.pipes.values():
            pipe.server_open = False
            pipe.break_off()
            self.engine.at(pipe.down.arrival(now, 0), self._crowd.cut, pipe)
        for pipe in self.knocking.values():
            self.engine.at(pipe.down.arrival(now, 0), self._crowd.turned_away, pipe)
        self.pipes.clear()
        self.knocking.clear()
        self._parting.clear()
        self._turn.clear()
        self._telling_s = 0.0
        self._company.clear()
        self._awaited = False
        if self.commits is not None:
            self.commits.forget()
        self.engine.at(now + down_s, self._begin)
        return True

    def _out_of_patience(self, now: float, life: int, _: Any) -> None:
        if life == self._life and self.draining:
            self._end(now)

    def _drained(self, now: float) -> None:
        if self.draining and not (self.pipes or self._parting):
            self._end(now)

    def _end(self, now: float) -> None:
        self.crash(now, self._down_s)

    def _begin(self, now: float, _: Any, __: Any) -> None:
        """Another process takes over, with what the log knows."""
        assert isinstance(self.log, KeptLog)
        old = self.handler
        epoch, seed = old.wall(now) - now, self._life
        snapshot = self.log.snapshot(old.config, old.wall(now))
        first = self.log.newest_epoch + 1
        self._take(ChatHandler(old.config, epoch=epoch, seed=seed, snapshot=snapshot, first_epoch=first, start=now))
        self.up = True
        self.loop.free_at = now
        self._admission = Admission(old.config, seed=self._life)
        self._note(now, "begin", (snapshot, epoch, seed, first), NOTHING)
        self.on_begin(snapshot)
        self._alarm.set(self.handler.wake_at())

    def _wake(self, now: float, rings_at: float, _: Any) -> None:
        if self._alarm.rung(rings_at) and self.up:
            self._work(now, 0.0, "wake", self.handler.wake)

    def _sort_out(self, start_at: float, effects: Effects) -> None:
        """Feed back what the log and the relay answer at once, and count what the rest costs; it leaves when the work
        ends."""
        for effect in effects:
            kind = effect.__class__
            if kind is Send:
                if self._held is not None and self._keeps(effect):  # type: ignore[arg-type]
                    continue
                self._charge(effect)  # type: ignore[arg-type]
                self._out.append(effect)  # type: ignore[arg-type]
            elif isinstance(effect, Append):
                self._append(start_at, effect.record)
            elif isinstance(effect, Tell):
                again = self.handler.told(start_at, effect.session, effect.message)
                self._note(start_at, "told", (effect.session, effect.message), again)
                self._sort_out(start_at, again)
            elif isinstance(effect, Note):
                self.log.note(effect.fact)
            elif isinstance(effect, Watch):
                self._out.append(effect)
            elif isinstance(effect, Ping):
                cost = self._ping_s
                self._cost += cost * len(effect.to) if isinstance(cost, float) else sum(cost.next() for _ in effect.to)
                self._out.append(effect)
            else:
                assert isinstance(effect, Close)
                self._keeps(effect)
                self._closing(start_at, effect)
                self._out.append(effect)

    def _charge(self, send: Send) -> None:
        recipient, to = self._recipient_s, send.to
        cost_s = recipient * len(to) if isinstance(recipient, float) else sum(recipient.next() for _ in to)
        if self._owes:
            if self._flushing is not None and len(to) > 1:
                # The sender has her ack by then: the handler, timed alone, spends but a seventh of it before.
                self._telling_s += self._owing_s(send)
            else:
                cost_s += self._owing_s(send)
        self._cost += cost_s
        if self._flushing is not None:
            # Writes are paid for at the turn's end.
            return
        write, turn, pipes = self._write_s, self.loop.turn, self.pipes
        # The connections written to in one turn of the loop are flushed once each.
        flushed = 0
        for name in to:
            pipe = pipes[name]
            if pipe.turn != turn:
                pipe.turn = turn
                flushed += 1
        self._cost += write * flushed if isinstance(write, float) else sum(write.next() for _ in range(flushed))

    def _depart(self, end_at: float, out: list[Send | Ping | Close | Watch]) -> None:
        """What a piece of work has said leaves: at its end, or, where the first write of a turn is told apart, when a
        real server would write it."""
        if self._flushing is None:
            for effect in out:
                self._leave(end_at, effect)
            return
        for effect in out:
            if isinstance(effect, Send):
                self._say(end_at, effect)
                continue
            # A close leaves behind what was said before it.
            if isinstance(effect, Close) and effect.to in self._company:
                self._turn.reach((effect.to,))
            self._end_turn(end_at, self._life, None)
            self._leave(max(end_at, self.loop.free_at), effect)

    def _say(self, now: float, send: Send) -> None:
        """One frame is written with all that its turn says, or at once where it is for one alone and nothing else is
        to be written; a notice of delivery may wait for company before (`live.outlets`)."""
        turn, company = self._turn, self._company
        if send.message.__class__ is Delivered and company.wanted(now):
            company.keep(now, send)
            self._wait()
        elif send.to and turn.add(send):
            if len(send.to) == 1:
                self._flush(0.0)
            else:
                self._ends_turn()

    def _ends_turn(self) -> None:
        self._at(max(self.loop.turn_began_at, self.engine.now), self._end_turn, self._life)

    def _wait(self) -> None:
        ends_at = self._company.ends_at()
        if ends_at < inf and not self._awaited:
            self._awaited = True
            self._at(ends_at, self._waited, self._life)

    def _waited(self, now: float, life: int, _: Any) -> None:
        """Notices that have waited long enough for company go without."""
        if life != self._life:
            return
        names = [name for name in self._company.due(now) if name in self.pipes]
        if names:
            start_at = self.loop.start(now)
            self.loop.end(start_at, self._waking_s(start_at))
            if self._turn.reach(names):
                self._ends_turn()
        self._awaited = False
        self._wait()

    def _end_turn(self, now: float, life: int, _: Any) -> None:
        """All that was ready when the turn began is done: what it says is written."""
        if len(self._turn) and life == self._life:
            assert self._flushing is not None
            telling_s, self._telling_s = self._telling_s, 0.0
            self._flush(telling_s + self._flushing.next())

    def _flush(self, cost_s: float) -> None:
        """Write what the turn says; that costs so much beside the writes themselves (s)."""
        turn, write, loop = self._turn, self._fixed["write"], self.loop
        turn.join(self._company)
        count = len(turn)
        writes_s = sum(self._draws["write"].next() for _ in range(count)) if write is None else write * count
        begin_at = loop.free_at
        end_at = loop.end(begin_at, cost_s + writes_s)
        each_s = loop.takes_s(begin_at, writes_s) / count
        for message, leaving in turn.written(self.pipes, end_at, each_s):
            if self.limits:
                for at, pipe in leaving:
                    self._leave_limited(at, (pipe,), message)
            else:
                self.engine.each(self._deliver, [(pipe.arrival(at, 0), pipe) for at, pipe in leaving], message)

    def _append(self, start_at: float, record: Record) -> None:
        cost = self._append_s
        self._cost += cost if isinstance(cost, float) else self._appending_s()
        if self.commits is not None:
            # The log has it when the loop has come so far.
            self.commits.add(start_at + self.loop.takes_s(start_at, self._cost), record)
            return
        latency_s = self._log_latency.next()
        if latency_s > 0.0 or start_at < self.log_down_until:
            self.engine.at(max(start_at + latency_s, self.engine.now), self._logged, record, self._life)
            return
        stored = self.log.append(record)
        again = self.handler.appended(start_at, stored)
        self._note(start_at, "appended", (stored,), again)
        self._sort_out(start_at, again)

    def _logged(self, now: float, record: Record, life: int, cost_s: float = 0.0) -> None:
        if life != self._life:
            return  # it was on its way when the node ended, and nobody was told that it was stored
        if now < self.log_down_until:
            self._work(now, cost_s, "append_failed", self.handler.append_failed, record)
        else:
            self._work(now, cost_s, "appended", self.handler.appended, self.log.append(record))

    def _committed(self, now: float, batch: list[Record]) -> None:
        cost_s = self.cost_s("commit_heard")
        for record in batch:
            self._logged(now, record, self._life, cost_s)
            cost_s = 0.0

    def _note(self, now: float, door: str, args: tuple[Any, ...], effects: Effects) -> None:
        for observer in self._observers:
            observer.step(now, door, args, effects)

    def _closing(self, start_at: float, effect: Close) -> None:
        pipe = self.pipes[effect.to]
        pipe.server_open = False
        self.closed_at[pipe.name] = start_at

    def _leave(self, at: float, effect: Send | Ping | Close | Watch) -> None:
        """An effect leaves the node: onto the links."""
        engine = self.engine
        if isinstance(effect, Send):
            pipes = self.pipes
            if self.limits:
                self._leave_limited(at, [pipes[name] for name in effect.to], effect.message)
            else:
                arrivals = [((pipe := pipes[name]).arrival(at, 0), pipe) for name in effect.to]
                engine.each(self._deliver, arrivals, effect.message)
        elif isinstance(effect, Ping):
            pinged = [self.pipes[name] for name in effect.to]
            queueing = [pipe for pipe in pinged if pipe.queues] if self.limits else []
            for pipe in queueing:
                pipe.queue(engine).put(at, 2, self._crowd.pinged, [pipe])
            free = [pipe for pipe in pinged if pipe not in queueing] if queueing else pinged
            engine.each(self._crowd.pinged, [(pipe.arrival(at, 2), pipe) for pipe in free])
        elif isinstance(effect, Watch):
            engine.at(at, self._look, self.pipes[effect.to])
        else:
            pipe = self.pipes.pop(effect.to)
            size = 4 + len(effect.reason)
            if pipe.queues:
                pipe.queue(self.engine).put(at, size, self._crowd.closed, (pipe,), effect.code)
            else:
                engine.at(pipe.down.arrival(at, size), self._crowd.closed, (pipe,), effect.code)
            if pipe.hung_up:
                # She went while the node was still at work on this.
                self._drained(at)
            else:
                self._parting[pipe.name] = pipe
                engine.at(at + CLOSE_S_MAX, self._drop, pipe)

    def _leave_limited(self, at: float, pipes: Sequence[Pipe], message: ServerFrame) -> None:
        """Where some pipe has a bandwidth, frames have a size, and a queue may build up."""
        size = frame_bytes(len(encode(message)), masked=False)
        for pipe in pipes:
            if not pipe.queues:
                self.engine.at(pipe.arrival(at, size), self._deliver, (pipe,), message)
                continue
            backlog = pipe.queue(self.engine)
            backlog.put(at, size, self._deliver, (pipe,), message)
            queued = backlog.queued_bytes(at)
            if queued > 0.0:
                self.engine.at(at, self._pressed, pipe, (int(queued), backlog.frames(at)))

    def _look(self, now: float, pipe: Pipe, _: Any) -> None:
        """The handler hears when nothing waits for the connection any more."""
        again_at = pipe.waits_until(now)
        if again_at is not None:
            self.engine.at(again_at, self._look, pipe)
        elif pipe.server_open:
            self._work(now, 0.0, "pressure", self.handler.pressure, pipe.name, 0, 0)

    def _pressed(self, now: float, pipe: Pipe, queued: tuple[int, int]) -> None:
        if pipe.server_open:
            self._work(now, 0.0, "pressure", self.handler.pressure, pipe.name, *queued)
