"""A watch over whole runs: nothing to say of a sound one, whoever feeds it, and what people saw counts too."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import NOTHING, Append, Effects, Note, Record
from chatsim.core.facts import Position
from chatsim.core.handler import ChatHandler
from chatsim.core.snapshot import Snapshot
from chatsim.verdict.invariants.watch import Watch
from tests.core.world import EPOCH as WORLD_EPOCH
from tests.core.world import World
from tests.sim.worlds import play, scenario, steps
from tests.verdict.invariants.steps import BODY, EPOCH, Steps, nothing_seen


def test_a_run_with_faults_breaks_nothing() -> None:
    record = play(
        {"at": "20s", "do": "vanish", "for": "50s", "count": 1},
        {"at": "40s", "do": "crash_node", "down": "2s"},
        {"at": "60s", "do": "withhold_acks", "for": "40s", "count": 1},
    )
    assert len(record.fired) == 3


def test_a_journal_is_judged_like_the_run_itself(tmp_path: Path) -> None:
    record, found = steps(tmp_path, {"at": "40s", "do": "crash_node", "down": "2s"})
    watch = Watch(scenario().handler, 1_700_000_000.0, Snapshot())
    for step in found:
        watch.step(step.now, step.door, step.args, step.effects)
    assert watch.finish(found[-1].now, record) == []


def test_what_people_saw_counts() -> None:
    record = nothing_seen()
    record.counters = {"duplicates": 2, "out_of_order": 1}
    record.owed = {"m1": {"bob": "delivered", "cid": "expired"}}
    names = [violation.name for violation in Steps().watch.finish(1.0, record)]
    assert names == ["acked_not_lost", "seen_once", "seen_in_order"]


def test_every_receiver_is_accounted_for() -> None:
    steps_ = Steps()
    steps_.arrive("a", "ann")
    steps_.arrive("b", "bob")
    steps_.stored(1, "b")
    assert [violation.name for violation in steps_.watch.finish(1.0, nothing_seen())] == ["accounted"]


def test_a_run_that_does_not_come_to_rest_is_told() -> None:
    assert [v.name for v in Steps().watch.finish(1.0, nothing_seen(), settled=False)] == ["convergence"]


def test_a_handler_is_looked_into_at_the_end() -> None:
    world = World()
    watch = Watch(world.handler.config, WORLD_EPOCH)
    world.handler._laggards.count = 1
    assert [v.name for v in watch.finish(0.0, nothing_seen(), handler=world.handler, open_=[])] == ["pool"]


class Restless(ChatHandler):
    """A handler that wants to be woken again at the moment at which it was."""

    def wake(self, now: float) -> Effects:
        self.at = now
        return super().wake(now)

    def wake_at(self) -> float:
        return self.at


def test_a_handler_that_does_not_rest_once_it_was_woken_is_told() -> None:
    for kind, broken in ((ChatHandler, []), (Restless, ["rest"])):
        handler = kind(HandlerConfig(), epoch=WORLD_EPOCH, seed=1)
        watch = Watch(handler.config, WORLD_EPOCH, handler=partial(lambda made: made, handler))
        watch.step(2.0, "wake", (), handler.wake(2.0))
        assert [violation.name for violation in watch.findings.all()] == broken


def test_a_clock_of_its_own_is_what_a_handler_is_judged_by() -> None:
    """It counts from 100 s after the beginning of the node's first life, and wants to be woken at 50 s."""
    handler = Restless(HandlerConfig(), epoch=WORLD_EPOCH, seed=1)
    handler.at = 50.0
    for ahead_s, broken in ((100.0, []), (0.0, ["rest"])):
        clock = partial(lambda ahead_s, now: now - ahead_s, ahead_s)
        watch = Watch(handler.config, WORLD_EPOCH, handler=lambda: handler, clock=clock)
        watch.step(102.0, "wake", (), NOTHING)
        assert [violation.name for violation in watch.findings.all()] == broken


def test_what_is_under_way_when_a_run_ends_is_told_whether_it_was_cut_off_or_not() -> None:
    for settled, broken in ((None, []), (True, ["answered"]), (False, ["convergence", "answered"])):
        steps_ = Steps()
        steps_.arrive("a", "ann")
        steps_.say(1)
        assert [v.name for v in steps_.watch.finish(1.0, nothing_seen(), settled=settled)] == broken


def test_a_handler_is_looked_into_when_all_has_come_to_rest_and_when_a_life_ends() -> None:
    world = World()
    watch = Watch(world.handler.config, WORLD_EPOCH, handler=lambda: world.handler)
    watch.rest(0, 0)
    watch.ended(())
    assert watch.findings.all() == []
    watch.rest(2, 1)
    (found,) = watch.findings.all()
    assert (found.name, found.detail) == ("pool", "its handler knows 2 connections, and the node has 1.")
    other = Watch(world.handler.config, WORLD_EPOCH, handler=lambda: world.handler)
    other.ended(("c1",))
    assert [violation.name for violation in other.findings.all()] == ["pool"]


def test_while_a_node_is_down_nobody_is_late() -> None:
    steps_ = Steps()
    steps_.arrive("a", "ann")
    steps_.now = 500.0
    steps_.step("begin", Snapshot(), EPOCH, 1, 2)
    steps_.step("wake")
    assert steps_.broken == []


def test_a_users_own_session_is_there_from_the_first_word_on() -> None:
    steps_ = Steps()
    steps_.connect("a", "ann")
    note, asked = Note(Position("@ann", "ann", 0)), Append(Record("@ann", "@server", "", "p1", BODY, EPOCH, 1))
    steps_.step("post", "ann", "p1", BODY, effects=(note, asked))
    assert steps_.broken == []
    steps_.step("wake", effects=(Note(Position("@bob", "ann", 0)),))
    assert steps_.broken == ["leftovers"]
