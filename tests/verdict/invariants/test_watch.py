"""A watch over whole runs: nothing to say of a sound one, whoever feeds it, and what people saw counts too."""

from __future__ import annotations

from pathlib import Path

from chatsim.core.effects import Append, Note, Record
from chatsim.core.facts import Position
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
    world.handler._shedding = 1
    assert [v.name for v in watch.finish(0.0, nothing_seen(), handler=world.handler, open_=[])] == ["pool"]


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
