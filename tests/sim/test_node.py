"""The node spends its event loop's time as the costs say, and lets go of effects when their work ends."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from msgspec import Raw

from chatsim.core.client import ChatClient, ClientConfig
from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Tell
from chatsim.core.frames import (
    Ack,
    AckIn,
    ClientFrame,
    Delivered,
    Error,
    Heartbeat,
    HeartbeatIn,
    Message,
    Say,
    ServerFrame,
    StatusIn,
    Typing,
    TypingIn,
    encode,
)
from chatsim.core.handler import ChatHandler
from chatsim.core.notices import EAGER_MAX, LINGER_S
from chatsim.core.tokens import Claims
from chatsim.network.link import Link
from chatsim.people.people import Device, Person
from chatsim.people.script import SETTLE_S
from chatsim.people.streams import Streams
from chatsim.scenario.costs import Collections, Costs, free
from chatsim.scenario.distributions import Constant, Distribution, Uniform
from chatsim.sim.engine import Engine
from chatsim.sim.node import Node
from chatsim.sim.pipe import Pipe
from tests.sim.worlds import steps

EPOCH = 1000.0


class FakeCrowd:
    """Notes what reaches each device, and answers pings only where it is told to."""

    def __init__(self) -> None:
        self.frames: list[tuple[float, str, ServerFrame]] = []
        self.pings: list[tuple[float, str]] = []
        self.closes: list[tuple[float, str, int]] = []
        self.node: Node | None = None

    def deliver(self, now: float, pipes: Sequence[Pipe], frame: ServerFrame) -> None:
        self.frames += [(now, pipe.name, frame) for pipe in pipes]

    def pinged(self, now: float, pipes: Sequence[Pipe], _: Any) -> None:
        self.pings += [(now, pipe.name) for pipe in pipes]
        if self.node is not None:
            self.node.ponged(now, pipes, None)

    def closed(self, now: float, pipes: Sequence[Pipe], code: int) -> None:
        self.closes += [(now, pipe.name, code) for pipe in pipes]

    def turned_away(self, now: float, pipe: Pipe, _: Any) -> None:
        self.closes.append((now, pipe.name, 0))

    def cut(self, now: float, pipe: Pipe, _: Any) -> None:
        self.closes.append((now, pipe.name, 1006))


class World:
    """Connections of three users, joined to one session at 0 s, when everything is still free."""

    def __init__(
        self,
        *,
        log_s: float = 0.0,
        config: HandlerConfig | None = None,
        durable: bool = False,
        **costs_s: float | Distribution | Collections,
    ) -> None:
        self.engine = Engine(quantum_s=0.5)
        self.crowd = FakeCrowd()
        self.doors: list[tuple[float, str]] = []
        handler = ChatHandler(config or HandlerConfig(), epoch=EPOCH, seed=1)
        spent = {
            word: Constant(value=value) if isinstance(value, float | int) else value for word, value in costs_s.items()
        }
        costs = Costs(**{name: getattr(free(), name) for name in free().__struct_fields__} | spent)
        self.node = Node(self.engine, handler, Streams(1), costs, Constant(value=log_s), (self,), durable=durable)
        self.node.serve(self.crowd)
        self.pipes = [self._pipe(number, user) for number, user in enumerate(("ann", "bob", "cyd"), 1)]
        for pipe in self.pipes:
            self.at(0.0, self.node.opened, pipe, self.claims(pipe), 0.0)
            self.at(0.0, self.node.arrived, pipe, StatusIn("join", "s"))

    def step(self, now: float, door: str, args: tuple[Any, ...], effects: Any) -> None:
        self.doors.append((now, door))

    def _pipe(self, number: int, user: str) -> Pipe:
        device = Device(
            number, Person(number, user, "g", "s", typing=False), ChatClient(ClientConfig(), user=user, seed=1)
        )
        return Pipe(number, device, Link(), Link(), limited=False)

    def claims(self, pipe: Pipe, ttl_s: float = 3600.0) -> Claims:
        return Claims(sub=pipe.peer.user.name, exp=EPOCH + ttl_s, sessions=("s",))

    def at(self, moment: float, call: Any, *args: Any) -> None:
        self.engine.at(moment, lambda now, a, b: call(now, *args))

    def say(self, moment: float, number: int = 0, id_: str = "x") -> None:
        self.at(moment, self.node.arrived, self.pipes[number], Say(id_, "s", Raw(b'"hi"')))

    def got(self, kind: type, since: float = 1.0) -> list[tuple[float, str]]:
        return [(now, name) for now, name, frame in self.crowd.frames if isinstance(frame, kind) and now >= since]


def test_every_effect_leaves_when_the_work_that_made_it_ends() -> None:
    world = World(frame=0.010, append=0.020)
    world.say(5.0)
    world.engine.run(6.0)
    left = world.got(Ack) + world.got(Message)
    assert [name for _, name in left] == ["c1", "c2", "c3"]
    assert [now for now, _ in left] == pytest.approx([5.030] * 3)


def test_each_recipient_costs_and_each_connection_is_flushed_once_a_turn() -> None:
    world = World(recipient=0.001, write=0.1)
    world.say(5.0)
    world.engine.run(6.0)
    # The ack and two copies: three frames owed, three connections flushed.
    ((acked_at, _),) = world.got(Ack)
    assert acked_at == pytest.approx(5.0 + 3 * 0.001 + 3 * 0.1)


def test_what_was_ready_together_shares_its_writes() -> None:
    world = World(write=0.1)
    world.say(5.0, 0, "a")
    world.say(5.0, 0, "b")
    world.engine.run(6.0)
    first, second = [now for now, _ in world.got(Ack)]
    assert first == pytest.approx(5.3)
    assert second == first, "the second message of the turn rides on the writes of the first"


def test_work_waits_for_the_work_before_it() -> None:
    world = World(frame=0.1)
    for number in range(3):
        world.say(5.0 + number * 0.01, number)
    world.engine.run(6.0)
    assert [now for now, _ in world.got(Ack)] == pytest.approx([5.1, 5.2, 5.3])
    assert world.node.loop.busy_s == pytest.approx(6 * 0.1), "three joins and three messages"


def test_costs_may_be_distributions() -> None:
    world = World()
    spread = Uniform(low=0.01, high=0.02)
    costs = Costs(**dict.fromkeys(("frame", "recipient", "write", "append", "ping", "verify", "tls_handshake"), spread))
    handler = ChatHandler(HandlerConfig(), epoch=EPOCH, seed=1)
    world.node = Node(world.engine, handler, Streams(1), costs, Constant(value=0.0), ())
    assert len({world.node.cost_s("verify") for _ in range(20)}) == 20
    assert all(0.01 <= world.node.cost_s("frame") <= 0.02 for _ in range(20))


def test_the_log_answers_after_its_latency() -> None:
    world = World(log_s=0.5)
    world.say(5.0)
    world.engine.run(6.0)
    assert world.got(Ack) == [(5.5, "c1")]
    assert (5.5, "appended") in world.doors


def test_a_log_that_is_down_accepts_nothing_and_recovers() -> None:
    world = World()
    world.node.log_down_until = 7.0
    world.say(5.0, 0, "lost")
    world.say(8.0, 0, "kept")
    world.engine.run(9.0)
    assert world.got(Error) == [(5.0, "c1")]
    assert world.got(Ack) == [(8.0, "c1")]
    assert [door for now, door in world.doors if now == 5.0] == ["receive", "append_failed"]


def test_an_outage_takes_what_was_on_its_way_to_the_log() -> None:
    world = World(log_s=1.0)

    def falls(now: float) -> None:
        world.node.log_down_until = now + 10.0

    world.say(5.0)
    world.at(5.5, falls)
    world.engine.run(7.0)
    assert world.got(Error) == [(6.0, "c1")]
    assert world.got(Ack) == []


def test_pings_cost_and_the_silent_are_closed_after_the_timeout() -> None:
    world = World(ping=0.1)
    world.engine.run(60.0)
    assert {name for _, name in world.crowd.pings} == {"c1", "c2", "c3"}
    closed = {name: now for now, name, code in world.crowd.closes if code == 4001}
    for now, name in world.crowd.pings:
        # A ping leaves when its work ends, and the timeout runs from the moment at which it was ordered.
        assert closed[name] - now == pytest.approx(10.0 - 0.1, abs=0.2)
    assert world.node.pipes == {}


def test_those_who_answer_stay() -> None:
    world = World()
    world.crowd.node = world.node
    world.engine.run(100.0)
    assert world.crowd.closes == []
    assert len(world.crowd.pings) >= 9


def test_a_peer_that_hangs_up_is_forgotten() -> None:
    world = World()
    world.at(5.0, world.node.hung_up, world.pipes[1], 1000)
    world.at(5.5, world.node.hung_up, world.pipes[1], 1000)
    world.say(6.0)
    world.say(6.5, 1)
    world.engine.run(7.0)
    assert world.got(Message) == [(6.0, "c3")]
    assert [door for _, door in world.doors].count("disconnect") == 1
    assert "c2" not in world.node.pipes


def test_frames_behind_the_servers_close_are_not_heard() -> None:
    world = World()
    world.at(5.0, world.node.order, "revoke", (None, "bob"))
    world.say(5.1, 1)
    world.at(5.2, world.node.garbled, world.pipes[1], ("bad_json", ""))
    world.at(5.3, world.node.ponged, [world.pipes[1]], None)
    world.at(5.4, world.node.refreshed, world.pipes[1], world.claims(world.pipes[1]))
    world.engine.run(6.0)
    assert world.crowd.closes == [(5.0, "c2", 4501)]
    assert world.node.closed_at == {"c2": 5.0}
    assert [door for now, door in world.doors if now > 5.0] == []


def test_malformed_bytes_are_answered() -> None:
    world = World(frame=0.01)
    world.at(5.0, world.node.garbled, world.pipes[0], ("bad_json", ""))
    world.engine.run(6.0)
    ((told_at, name),) = world.got(Error)
    assert name == "c1"
    assert told_at == pytest.approx(5.01)


def test_a_refused_knock_costs_its_verification() -> None:
    world = World()
    world.engine.run(1.0)
    assert world.node.refused(1.0, 0.25, "token_invalid") == 1.25
    assert world.node.refused(1.0, 0.25, "token_invalid") == 1.5


def test_a_narrow_pipe_fills_and_is_told_of() -> None:
    world = World()
    pipe = world.pipes[1]
    pipe.down.bandwidth_bit_per_s = 800.0
    pipe.limited = world.node.limits = True
    for turn in range(20):
        world.say(5.0 + turn / 100, 0, f"x{turn}")
    world.engine.run(20.0)
    assert [door for _, door in world.doors].count("pressure") >= 20
    arrived = {name: [now for now, to in world.got(Message) if to == name] for name in ("c2", "c3")}
    assert max(arrived["c3"]) < 5.3
    assert min(arrived["c2"]) > 6.0


def test_a_heartbeat_is_answered() -> None:
    world = World()
    world.at(5.0, world.node.arrived, world.pipes[0], HeartbeatIn(7.0))
    world.engine.run(6.0)
    assert [(now, name) for now, name, frame in world.crowd.frames if getattr(frame, "t", None) == 7.0] == [(5.0, "c1")]


def test_who_was_told_to_go_takes_room_until_the_answer_comes_or_patience_ends() -> None:
    world = World(config=HandlerConfig(connections_max=3))
    room: list[tuple[float, str]] = []

    def knock(now: float) -> None:
        room.append((now, world.node.no_room(now, "dan", "")[0]))

    world.at(5.0, world.node.order, "revoke", (None, "bob"))
    world.at(5.5, knock)
    world.at(6.0, world.node.let_go, world.pipes[1], None)
    world.at(6.5, knock)
    world.at(7.0, world.node.order, "revoke", (None, "cyd"))
    for moment in (11.5, 12.5):
        world.at(moment, knock)
    world.engine.run(20.0)
    assert room == [(5.5, "overloaded"), (6.5, ""), (11.5, ""), (12.5, "")]
    # Who answers has the close; who does not is cut off after five seconds.
    assert world.crowd.closes == [(5.0, "c2", 4501), (7.0, "c3", 4501), (12.0, "c3", 1006)]


class Pong(NamedTuple):
    """A pong among frames; `others` answer a ping at the same moment, those `later` half a second after it."""

    others: tuple[int, ...] = ()
    later: tuple[int, ...] = ()


def reads(*frames: ClientFrame | Pong, frame: float = 0.0, recipient: float = 0.0) -> World:
    """The world after the second of three has sent these so that all came in at 5 s."""
    world = World(frame=frame, recipient=recipient)
    for number, at in enumerate((1.0, 2.0, 3.0), 1):
        world.say(at, id_=f"x{number}")
    for what in frames:
        if isinstance(what, Pong):
            due = [(5.0, number) for number in (*what.others, 1)] + [(5.5, number) for number in what.later]
            world.engine.each(world.node.ponged, [(at, world.pipes[number]) for at, number in due])
        else:
            world.engine.at(5.0, world.node.arrived, world.pipes[1], what)
    # What comes of another is no part of it.
    world.engine.at(5.0, world.node.arrived, world.pipes[2], AckIn("s", 3))
    world.engine.run(6.0)
    return world


def read_at_once(
    *frames: ClientFrame | Pong, frame: float = 0.0, recipient: float = 0.0
) -> list[tuple[float, str, str]]:
    """Who is told of what from 5 s on, where these are read at once."""
    world = reads(*frames, frame=frame, recipient=recipient)
    return [(now, name, _told(frame)) for now, name, frame in world.crowd.frames if now >= 5.0]


def _told(frame: ServerFrame) -> str:
    if isinstance(frame, Delivered):
        return f"{frame.user} has {' '.join(message_id.partition('-')[2] for message_id in frame.message_ids)}"
    return type(frame).__name__


def test_acks_that_are_read_at_once_are_told_of_in_one_notice() -> None:
    told = read_at_once(AckIn("s", 1), AckIn("s", 2), AckIn("s", 3))
    assert told == [(5.0, "c1", "bob has 1 2 3"), (5.0, "c1", "cyd has 1 2 3")]


def test_a_notice_waits_for_its_like_and_for_nothing_else() -> None:
    told = read_at_once(AckIn("s", 1), AckIn("s", 2), TypingIn("s", True), AckIn("s", 3))
    assert told == [
        (5.0, "c1", "bob has 1 2"),
        (5.0, "c1", "Typing"),
        (5.0, "c3", "Typing"),
        (5.0, "c1", "bob has 3"),
        (5.0, "c1", "cyd has 1 2 3"),
    ]


# Found by exploring (seed 115 on agreement: pong-between-acks.yaml): a pong is read with what is around it, and nobody
# is told of it.
@pytest.mark.parametrize("pong", [Pong(), Pong(later=(0, 2))], ids=["alone", "others-later"])
def test_a_notice_waits_while_a_pong_is_read(pong: Pong) -> None:
    world = reads(AckIn("s", 1), pong, AckIn("s", 2), pong, AckIn("s", 3))
    assert [_told(frame) for now, _, frame in world.crowd.frames if now >= 5.0] == ["bob has 1 2 3", "cyd has 1 2 3"]
    doors = ["receive", "pong", "receive", "pong", "receive", "receive"]
    assert [(now, door) for now, door in world.doors if now >= 5.0] == [
        *((5.0, door) for door in doors),
        *[(5.5, "pong")] * (2 * len(pong.later)),
    ]


def test_a_pong_between_other_frames_ends_no_read_and_keeps_none_open() -> None:
    assert read_at_once(AckIn("s", 1), Pong(), AckIn("s", 2), Pong(), TypingIn("s", True), Pong(), AckIn("s", 3)) == [
        (5.0, "c1", "bob has 1 2"),
        (5.0, "c1", "Typing"),
        (5.0, "c3", "Typing"),
        (5.0, "c1", "bob has 3"),
        (5.0, "c1", "cyd has 1 2 3"),
    ]


def test_a_read_ends_where_somebody_else_has_her_turn_and_every_pong_is_heard_once() -> None:
    world = reads(AckIn("s", 1), Pong(others=(0, 2)), AckIn("s", 2))
    told = [_told(frame) for now, _, frame in world.crowd.frames if now >= 5.0]
    assert told == ["bob has 1", "bob has 2", "cyd has 1 2 3"]
    doors = ["receive", "pong", "pong", "pong", "receive", "receive"]
    assert [(now, door) for now, door in world.doors if now >= 5.0] == [(5.0, door) for door in doors]


def test_a_notice_that_has_waited_is_paid_for_once() -> None:
    told = read_at_once(AckIn("s", 1), AckIn("s", 2), AckIn("s", 3), frame=0.01, recipient=0.1)
    assert [what for _, _, what in told] == ["bob has 1 2 3", "cyd has 1 2 3"]
    assert [at for at, _, _ in told] == pytest.approx([5.13, 5.24])


def test_what_comes_in_later_is_another_read() -> None:
    world = World()
    for number, at in enumerate((1.0, 2.0), 1):
        world.say(at, id_=f"x{number}")
        world.engine.at(4.0 + at, world.node.arrived, world.pipes[1], AckIn("s", number))
    world.engine.run(7.0)
    assert world.got(Delivered) == [(5.0, "c1"), (6.0, "c1")]


def test_any_frame_may_be_too_large_where_there_is_room_for_next_to_nothing() -> None:
    join = len(encode(StatusIn("join", "s")))
    for bytes_max, closed in ((join, []), (join - 1, [1009] * 3)):
        world = World(config=HandlerConfig(message_bytes_max=bytes_max))
        world.at(1.0, world.node.arrived, world.pipes[0], HeartbeatIn(7.0))
        world.engine.run(2.0)
        assert [code for _, _, code in world.crowd.closes] == closed
        assert len(world.got(Heartbeat)) == (not closed)


def test_a_node_has_drained_when_the_last_has_answered() -> None:
    world = World()
    up: list[bool] = []
    for number, pipe in enumerate(world.pipes):
        world.at(6.0 + number, world.node.let_go, pipe, None)
    for moment in (7.9, 8.1):
        world.at(moment, lambda now: up.append(world.node.up))
    world.at(5.0, world.node.drain, 1e9)
    world.engine.run(9.0)
    assert len(world.crowd.closes) == 3
    assert up == [True, False]


def test_who_hangs_up_at_the_moment_at_which_she_is_told_to_go_has_answered() -> None:
    first = World()
    first.at(5.0, first.node.drain, 1e9)
    first.engine.run(9.0)
    told = {name: at for at, name, _ in first.crowd.closes}
    world = World()
    world.at(5.0, world.node.drain, 1e9)
    world.at(told["c2"], world.node.hung_up, world.pipes[1], 1006)
    world.engine.run(9.0)
    assert [(at, name) for at, name, _ in world.crowd.closes if name == "c2"] == [(told["c2"], "c2")]
    assert (list(world.node.pipes), list(world.node._parting)) == ([], ["c1", "c3"])


def test_whose_request_is_under_way_when_the_node_ends_finds_the_connection_cut() -> None:
    world = World()
    pipe = world._pipe(4, "dan")
    world.node.knocking[pipe.name] = pipe
    world.at(5.0, world.node.crash, 1e9)
    world.engine.run(6.0)
    assert (5.0, "c4", 0) in world.crowd.closes
    assert world.node.knocking == {}


def test_pressure_tells_of_bytes_and_of_frames() -> None:
    world = World(config=HandlerConfig(outbound_frames=4))
    pipe = world.pipes[1]
    pipe.down.bandwidth_bit_per_s = 8000.0
    pipe.limited = world.node.limits = True
    for turn in range(8):
        world.say(5.0 + turn / 1000, 0, f"x{turn}")
    world.engine.run(6.0)
    # One frame of some 170 bytes leaves in 0.17 s: the fifth that waits is one too many.
    assert [(name, code) for _, name, code in world.crowd.closes] == [("c2", 4000)]
    assert [door for now, door in world.doors if now >= 5.0].count("pressure") == 5


def test_what_is_due_is_done_before_what_arrives_at_the_same_moment() -> None:
    world = World()
    world.engine.run(1.0)
    due_at = world.node.handler.wake_at()
    world = World()
    world.say(due_at, 0)
    world.engine.run(due_at + 1.0)
    assert [door for now, door in world.doors if now == due_at] == ["wake", "receive", "appended"]


@pytest.mark.parametrize(("costs", "wakes"), [({}, [31.01, 31.1]), ({"timer_step": 0.25}, [31.25])])
def test_what_is_due_within_a_step_of_the_clock_is_done_together(costs: dict[str, Any], wakes: list[float]) -> None:
    world = World(**costs)
    for moment, id_ in ((1.01, "x"), (1.1, "y")):
        world.say(moment, 0, id_)
    world.engine.run(32.0)
    rung = [now for now, door in world.doors if door == "wake" and now > 30.5]
    assert rung == pytest.approx(wakes)
    again = [now for now, _ in world.got(Message, since=30.5)]
    assert again == pytest.approx(sorted(2 * (wakes * 2)[:2]))


def test_typing_that_stopped_too_soon_is_told_when_its_time_comes(tmp_path: Path) -> None:
    # Found by exploring (typing-stopped-early.yaml): an input without effects did not wake the handler for what it had
    # put on its line.
    group = {"messages": {"arrivals": "periodic", "rate": "2/min"}, "typing": True, "users": 1, "session_size": 1}
    _, found = steps(tmp_path, group=group, duration="80s")
    told = [
        (step.now, effect.message.active)
        for step in found
        for effect in step.effects
        if isinstance(effect, Tell) and isinstance(effect.message, Typing)
    ]
    assert len(told) >= 4
    assert all(active for _, active in told[::2])
    assert [end - begin for (begin, _), (end, _) in zip(told[::2], told[1::2], strict=False)] == pytest.approx(
        [3.0] * (len(told) // 2)
    )


def test_a_node_that_is_down_has_a_clock_and_hears_of_a_revocation_when_it_is_back(tmp_path: Path) -> None:
    crash = {"at": "20s", "do": "crash_node", "down": "10s"}
    jump = {"at": "25s", "do": "clock_jump", "by": "40s"}
    _, found = steps(tmp_path, crash, jump, duration="60s")
    [begin] = [step for step in found if step.door == "begin"]
    assert begin.args[1] == 1_700_000_040.0
    assert not [step for step in found if step.door == "clock_jump"]


def test_a_frame_costs_what_its_type_does_and_others_what_frames_do() -> None:
    world = World(frame=0.1, frame_heartbeat=0.01, frame_typing=0.02)
    world.at(5.0, world.node.arrived, world.pipes[0], HeartbeatIn())
    world.at(6.0, world.node.arrived, world.pipes[0], TypingIn("s", True))
    world.say(7.0)
    world.engine.run(8.0)
    assert world.got(Heartbeat)[0][0] == pytest.approx(5.01)
    assert world.got(Typing)[0][0] == pytest.approx(6.02)
    assert world.got(Ack)[0][0] == pytest.approx(7.1)


def test_a_loop_that_sleeps_costs_a_wake_up_and_one_at_work_does_not() -> None:
    world = World(frame=0.1, wake=0.01)
    world.say(5.0, 0, "a")
    world.say(5.05, 1, "b")
    world.say(6.0, 2, "c")
    world.engine.run(7.0)
    assert [now for now, _ in world.got(Ack)] == pytest.approx([5.11, 5.21, 6.11])


def test_a_wake_up_costs_more_the_longer_the_loop_has_slept() -> None:
    world = World(frame=0.1, wake=0.01, cold=0.2, cold_after=0.5)
    world.say(5.0, 0, "a")
    world.say(5.9, 1, "b")
    world.engine.run(9.0)
    first, second = (now for now, _ in world.got(Ack))
    # Nearly all of it after a long sleep, and of a short one its part; an exchange before them took no time.
    assert first == pytest.approx(5.31, abs=1e-3)
    assert second - 5.9 == pytest.approx(0.11 + 0.2 * (1 - exp(-(5.9 - first) / 0.5)))


def test_a_commit_begins_when_the_loop_has_come_so_far_and_is_heard_of_when_it_ends() -> None:
    world = World(durable=True, frame=0.1, append=0.02, wake=0.01, cold=0.2, cold_after=0.5, commit=0.4)
    world.say(5.0)
    world.engine.run(9.0)
    woken_at = 5.0 + 0.01 + 0.2 + 0.1 + 0.02 + 0.4
    # The loop sleeps meanwhile, and is the colder for it.
    assert world.got(Ack)[0][0] == pytest.approx(woken_at + 0.01 + 0.2 * (1 - exp(-0.4 / 0.5)), abs=1e-4)


def test_a_commit_takes_longer_the_longer_the_log_has_rested() -> None:
    world = World(durable=True, commit=0.1, commit_cold=0.4, commit_cold_after=0.5)
    world.say(5.0, 0, "a")
    world.say(6.0, 1, "b")
    world.engine.run(9.0)
    first, second = (now for now, _ in world.got(Ack))
    assert first == pytest.approx(5.5)
    assert second - 6.0 == pytest.approx(0.1 + 0.4 * (1 - exp(-0.5 / 0.5)))


def test_hearing_of_a_commit_costs_the_same_however_many_records_it_has() -> None:
    world = World(durable=True, commit=0.1, commit_heard=0.05)
    for place in range(3):
        world.say(5.0 + place / 100, place, f"{place}")
    world.engine.run(9.0)
    # The first alone, the others together.
    assert [now for now, _ in world.got(Ack)] == pytest.approx([5.15, 5.25, 5.25])
    assert world.node.loop.busy_s == pytest.approx(0.1)


def test_the_first_write_of_a_turn_costs_a_flush() -> None:
    world = World(write=0.01, flush=0.1)
    world.say(5.0, 0, "a")
    world.say(5.0, 0, "b")
    world.say(6.0, 0, "c")
    world.engine.run(7.0)
    # The first ack is for one alone, and nothing else is to be written yet; the second goes with both messages.
    assert [now for now, _ in world.got(Ack)] == pytest.approx([5.01, 5.14, 6.01])
    assert sorted({now for now, _ in world.got(Message)}) == pytest.approx([5.14, 6.13])


def test_whoever_many_are_told_of_has_her_ack_before_what_it_costs_that_they_owe_theirs() -> None:
    world = World(recipient=0.1, owed=0.2, write=0.01, flush=0.001)
    world.say(5.0)
    world.engine.run(7.0)
    # The frame is handed to each way out first, also her own.
    handed_at = 5.0 + 3 * 0.1
    assert [now for now, _ in world.got(Ack)] == pytest.approx([handed_at + 0.01])
    two = 2 * (0.2 + 0.01)
    assert [now for now, _ in world.got(Message)] == pytest.approx([handed_at + 0.01 + 0.001 + two] * 2)
    assert world.node.loop.busy_s >= 0.3 + 0.01 + 0.001 + two


def test_the_collector_stops_the_loop_at_a_stored_message() -> None:
    world = World(append=0.01, collect=0.2)
    world.say(5.0)
    world.at(6.0, world.node.arrived, world.pipes[0], HeartbeatIn())
    world.engine.run(7.0)
    assert world.got(Ack)[0][0] == pytest.approx(5.21)
    assert world.got(Heartbeat)[0][0] == pytest.approx(6.0), "nothing is stored"


def test_the_collector_stops_the_loop_at_every_so_many_messages_and_each_time_as_long_as_then() -> None:
    world = World(append=0.01, collect=Collections(every=2, pauses_s=(0.1, 0.3)))
    for place in range(8):
        world.say(5.0 + place, 0, f"{place}")
    world.engine.run(14.0)
    took_s = [now - (5.0 + place) for place, (now, _) in enumerate(world.got(Ack))]
    assert took_s == pytest.approx([0.01, 0.11, 0.01, 0.31, 0.01, 0.11, 0.01, 0.31])


def test_a_log_that_lasts_answers_after_its_commit_and_together() -> None:
    world = World(durable=True, log_s=0.5, append=9.0, append_durable=0.01, commit=0.2, commit_record=0.1)
    world.say(5.0, 0, "a")
    world.say(5.1, 1, "b")
    world.say(5.2, 2, "c")
    world.engine.run(9.0)
    first, second, third = [now for now, _ in world.got(Ack)]
    # 0.5 s of latency, 0.2 s of commit and 0.1 s a record; the other two share what begins when the first has ended.
    assert first == pytest.approx(5.01 + 0.8)
    assert second == third == pytest.approx(5.01 + 0.8 + 0.9)


def test_a_log_that_lasts_loses_what_was_not_committed_when_the_node_ended() -> None:
    world = World(durable=True, commit=0.5)
    world.say(5.0)
    world.at(5.2, world.node.crash, 100.0)
    world.engine.run(7.0)
    assert world.got(Ack) == []


def test_where_the_first_write_is_told_apart_a_turn_is_written_at_its_end() -> None:
    """A frame for one alone is written at once where nothing else is to be written; all others at the turn's end."""
    world = World(frame=0.1, write=0.01, flush=0.001)
    world.say(5.0, 0, "a")
    world.say(5.05, 1, "b")
    world.say(5.06, 2, "c")
    world.engine.run(7.0)
    first = 5.0 + 0.1 + 0.01
    one = first + 0.001 + 2 * 0.01
    second = one + 0.1 + 0.01
    both = second + 0.1 + 0.001 + 3 * 0.01
    assert [now for now, _ in world.got(Ack)] == pytest.approx([first, second, both])
    assert sorted({now for now, _ in world.got(Message)}) == pytest.approx([one, both])


def test_a_close_leaves_behind_what_its_turn_has_said() -> None:
    world = World(write=0.01, flush=0.001, config=HandlerConfig(violation_limit=1))
    world.say(5.0, 0, "a")
    for _ in range(2):
        world.at(5.0, world.node.garbled, world.pipes[1], ("bad_frame", ""))
    world.engine.run(7.0)
    [(closed_at, name, _)] = world.crowd.closes
    heard = [now for now, to, frame in world.crowd.frames if to == name and now >= 5.0]
    assert heard
    assert max(heard) <= closed_at


def test_what_a_node_had_not_written_when_it_ended_is_never_written() -> None:
    world = World(frame=0.1, write=0.01, flush=0.001)
    world.say(5.0, 0, "a")
    world.say(5.0, 1, "b")
    world.at(5.0, world.node.crash, 100.0)
    world.engine.run(7.0)
    assert [name for _, name in world.got(Ack)] == ["c1"], "this one was written at once"
    assert world.got(Message) == []


def acked(world: World, many: int, since: float = 5.0) -> None:
    """The first says so many messages, and from then on the second acks them one by one, each in a turn of its own."""
    for number in range(many):
        world.say(1.0, 0, f"m{number}")
    for number in range(many):
        ack = AckIn(session="s", up_to=number + 1)
        world.at(since + number * 1e-4, world.node.arrived, world.pipes[1], ack)


def test_many_notices_of_delivery_go_out_in_company_and_few_at_once() -> None:
    world = World(write=1e-6, flush=1e-6)
    acked(world, EAGER_MAX + 8)
    world.engine.run(7.0)
    moments = [now for now, _ in world.got(Delivered)]
    assert moments[:EAGER_MAX] == pytest.approx([5.0 + number * 1e-4 for number in range(EAGER_MAX)], abs=1e-5)
    last = 5.0 + EAGER_MAX * 1e-4 + LINGER_S
    assert moments[EAGER_MAX:] == pytest.approx([last] * 8, abs=1e-5)


def test_a_notice_goes_along_with_what_is_written_to_its_connection_anyway() -> None:
    world = World(write=1e-6, flush=1e-6)
    acked(world, EAGER_MAX + 2)
    world.say(5.02, 2, "for all")
    world.engine.run(7.0)
    heard = [(now, type(frame)) for now, name, frame in world.crowd.frames if name == "c1" and now > 5.01]
    assert [kind for _, kind in heard] == [Delivered, Delivered, Message]
    assert [now for now, _ in heard] == pytest.approx([5.02] * 3, abs=1e-5)


def test_a_notice_that_waits_leaves_ahead_of_the_close_of_its_connection() -> None:
    world = World(write=1e-6, flush=1e-6, config=HandlerConfig(violation_limit=1))
    acked(world, EAGER_MAX + 2)
    for _ in range(2):
        world.at(5.02, world.node.garbled, world.pipes[0], ("bad_frame", ""))
    world.engine.run(7.0)
    [(closed_at, name, _)] = world.crowd.closes
    assert name == "c1"
    moments = [now for now, _ in world.got(Delivered)]
    assert len(moments) == EAGER_MAX + 2
    assert max(moments) <= closed_at


def test_a_close_writes_nothing_to_whoever_has_nothing_waiting() -> None:
    """The close of the third costs no write, though notices wait for the first."""
    world = World(write=0.001, flush=1e-6, config=HandlerConfig(violation_limit=1))
    acked(world, EAGER_MAX + 2)
    for _ in range(2):
        world.at(5.04, world.node.garbled, world.pipes[2], ("bad_frame", ""))
    world.engine.run(7.0)
    # The first error is one write, and the close goes at its end.
    [(closed_at, name, code)] = world.crowd.closes
    assert (name, code) == ("c3", 4503)
    assert closed_at == pytest.approx(5.041)


def test_what_waits_for_company_when_the_node_ends_is_never_written() -> None:
    world = World(write=1e-6, flush=1e-6)
    acked(world, EAGER_MAX + 2)
    world.at(5.02, world.node.crash, 100.0)
    world.engine.run(7.0)
    assert len(world.got(Delivered)) == EAGER_MAX


def test_a_message_costs_more_for_each_who_is_to_ack_it() -> None:
    for owed in (Constant(value=0.01), Uniform(low=0.01, high=0.01)):
        world = World(owed=owed)
        world.say(5.0)
        world.at(6.0, world.node.arrived, world.pipes[0], HeartbeatIn())
        world.engine.run(7.0)
        assert world.got(Ack)[0][0] == pytest.approx(5.02), "two of three hear it"
        assert world.got(Heartbeat)[0][0] == pytest.approx(6.0)


def test_an_ack_costs_more_for_each_message_that_it_settles() -> None:
    world = World(settled=0.1)
    for number in range(3):
        world.say(5.0, 0, f"m{number}")
    before = world.node.loop.busy_s
    world.at(6.0, world.node.arrived, world.pipes[1], AckIn("s", up_to=3))
    world.engine.run(9.0)
    assert world.node.loop.busy_s - before == pytest.approx(0.3)


def test_costs_that_are_not_told_apart_change_nothing() -> None:
    """The plain way and the finer one agree where the finer words say the same."""
    rough = World(frame=0.01, recipient=0.001, write=0.002, append=0.003)
    fine = World(
        frame=0.01, recipient=0.001, write=0.002, append=0.003, frame_ack=0.01, owed=0.0, wake=0.0, collect=0.0
    )
    for world in (rough, fine):
        for number in range(6):
            world.say(5.0 + number * 0.01, number % 3, f"m{number}")
        world.engine.run(9.0)
    assert fine.crowd.frames == rough.crowd.frames
    assert fine.node.loop.busy_s == rough.node.loop.busy_s


def test_an_order_that_had_to_wait_is_done_before_one_that_comes_at_that_moment() -> None:
    """Found by exploring (seed 8697: put-out-while-down.yaml): who was put out while the node was down, and let in
    again, was out."""
    world = World()
    orders = [("remove_participant", 5.0), ("add_participant", 5.0 + SETTLE_S)]
    for door, moment in orders:
        world.at(moment, world.node.order, door, ("s", "ann"))
    for moment, up in ((4.0, False), (5.0 + SETTLE_S / 2, True)):
        world.at(moment, lambda now, up=up: setattr(world.node, "up", up))
    world.engine.run(7.0)
    done = [(door, moment) for moment, door in world.doors if door.endswith("_participant")]
    assert done == [("remove_participant", 5.0 + SETTLE_S), ("add_participant", 5.0 + SETTLE_S)]
