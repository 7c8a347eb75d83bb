"""The engine: events run in exact order of time, and the quantum changes nothing but who sees it when."""

from __future__ import annotations

import gc
from collections.abc import Generator
from math import inf
from typing import Any

import pytest
import simpy
from hypothesis import given
from hypothesis import strategies as st

from chatsim.errors import HarnessError
from chatsim.sim.engine import LITTER_MAX, Engine, ShuffledEngine
from tests.thorough import examples

FEW = examples(20)
"""Each run of an engine looks for garbage once, which takes long in a large process."""

MOMENTS = st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0, 1.0000001, 2.5, 7.25]), max_size=30)


class Trace:
    """Notes when which action ran."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.rows: list[tuple[float, Any]] = []

    def note(self, now: float, a: Any, b: Any) -> None:
        assert now == self.engine.now
        self.rows.append((now, a))


def traced(moments: list[float], quantum_s: float = 1.0) -> list[tuple[float, Any]]:
    engine = Engine(quantum_s=quantum_s)
    trace = Trace(engine)
    for place, moment in enumerate(moments):
        engine.at(moment, trace.note, place)
    engine.run(10.0)
    return trace.rows


@FEW
@given(MOMENTS)
def test_events_run_in_order_of_time_and_then_of_scheduling(moments: list[float]) -> None:
    assert traced(moments) == sorted((moment, place) for place, moment in enumerate(moments))


@FEW
@given(MOMENTS, st.sampled_from([0.01, 0.3, 2.0, 100.0]))
def test_the_quantum_changes_no_result(moments: list[float], quantum_s: float) -> None:
    assert traced(moments, quantum_s) == traced(moments)


def test_what_an_event_schedules_runs_at_its_own_moment_within_one_quantum() -> None:
    engine = Engine(quantum_s=100.0)
    trace = Trace(engine)

    def again(now: float, left: int, _: Any) -> None:
        trace.note(now, left, None)
        if left:
            engine.at(now + 0.25, again, left - 1)

    engine.at(1.0, again, 3)
    engine.at(1.3, trace.note, "between")
    engine.run(10.0)
    assert trace.rows == [(1.0, 3), (1.25, 2), (1.3, "between"), (1.5, 1), (1.75, 0)]


def test_each_is_the_same_as_at_for_each_but_that_those_of_one_moment_come_together() -> None:
    engine = Engine()
    trace = Trace(engine)
    engine.at(1.0, trace.note, "first")
    engine.each(trace.note, [(1.0, "second"), (0.5, "early"), (1.0, "third")], None)
    engine.at(1.0, trace.note, "last")
    engine.each(trace.note, [(1.5, "one"), (1.5, "other")], None)
    engine.each(trace.note, [], None)
    assert engine.next_at == 0.5
    engine.run(2.0)
    assert trace.rows == [
        (0.5, ["early"]),
        (1.0, "first"),
        (1.0, ["second", "third"]),
        (1.0, "last"),
        (1.5, ["one", "other"]),
    ]
    assert engine.next_at == inf


@FEW
@given(st.lists(MOMENTS, max_size=6), st.sampled_from([0.3, 100.0]))
def test_batches_mix_in_the_order_of_time_and_then_of_scheduling(batches: list[list[float]], quantum_s: float) -> None:
    engine = Engine(quantum_s=quantum_s)
    rows: list[tuple[float, int, int]] = []

    def note(now: float, places: list[int], batch: int) -> None:
        rows.extend((now, batch, place) for place in places)

    for batch, moments in enumerate(batches):
        engine.each(note, [(moment, place) for place, moment in enumerate(moments)], batch)
    engine.run(10.0)
    assert rows == sorted((m, batch, place) for batch, moments in enumerate(batches) for place, m in enumerate(moments))


def test_what_is_next_may_be_taken_out_where_it_is_what_was_expected() -> None:
    engine = Engine()
    trace = Trace(engine)
    one, other, found = object(), object(), []

    def look(now: float, a: Any, b: Any) -> None:
        found.append(engine.take(now, trace.note, other))
        found.append(engine.take(now, look, one))
        found.append(engine.take(now, trace.note, one))
        found.append(engine.take(now, trace.note, one))

    engine.at(1.0, look)
    engine.at(1.0, trace.note, one, "b")
    engine.at(1.5, trace.note, one, "c")
    engine.run(2.0)
    assert found == [None, None, "b", None]
    assert trace.rows == [(1.5, one)]


def test_what_is_next_is_known_by_its_argument_alone_or_among_many() -> None:
    engine = Engine()
    trace = Trace(engine)
    one, other, found = object(), object(), list[list[str]]()

    def look(now: float, a: Any, b: Any) -> None:
        found.append([name for name, what in (("one", one), ("other", other)) if engine.is_next(now, what)])

    engine.at(1.0, look)
    engine.at(1.0, trace.note, one)
    engine.at(1.0, look)
    engine.each(trace.note, [(1.0, other), (1.0, one)])
    # Of those of several moments only who is due now is next.
    engine.at(1.0, look)
    engine.each(trace.note, [(1.0, one), (1.5, other)])
    engine.at(1.0, look)
    engine.each(trace.note, [(1.0, object()), (1.0, one), (1.5, other)])
    engine.at(1.0, look)
    engine.at(1.0, trace.note, object())
    engine.at(1.0, trace.note, one)
    engine.at(1.0, look)
    engine.at(1.6, look)
    engine.run(2.0)
    assert found == [["one"], ["one", "other"], ["one"], ["one"], [], [], []]


def test_one_of_those_who_are_next_is_taken_out_and_only_of_the_action_that_was_expected() -> None:
    engine = Engine()
    trace = Trace(engine)
    one, other, found = "one", "other", list[list[bool]]()

    def look(now: float, a: Any, b: Any) -> None:
        found.append([engine.take_one(now, action, one) for action in (look, trace.note, trace.note)])

    for moment in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0):
        engine.at(moment, look)
    engine.each(trace.note, [(1.0, other), (1.0, one)])
    # What was scheduled for her alone is `take`'s.
    engine.at(2.0, trace.note, one)
    engine.each(trace.note, [(3.0, other), (3.0, one), (3.5, one), (3.6, other)])
    engine.at(3.2, trace.note, "between")
    engine.each(trace.note, [(4.0, one)])
    engine.each(trace.note, [(4.9, other), (5.0, one)])
    engine.run(7.0)
    once = [False, True, False]
    assert found == [once, [False] * 3, once, once, once, [False] * 3]
    assert trace.rows == [
        (1.0, [other]),
        (2.0, one),
        (3.0, [other]),
        (3.2, "between"),
        (3.5, [one]),
        (3.6, [other]),
        (4.9, [other]),
    ]
    assert engine.next_at == inf


@FEW
@given(st.lists(MOMENTS, max_size=6), st.sampled_from([1, 2, 3]), st.sampled_from([0.3, 100.0]))
def test_whoever_is_taken_out_nothing_changes_for_the_others(
    batches: list[list[float]], each: int, quantum_s: float
) -> None:
    engine = Engine(quantum_s=quantum_s)
    everything = [(moment, (number, place)) for number, of in enumerate(batches) for place, moment in enumerate(of)]
    unwanted = [entry for _, entry in everything if sum(entry) % each == 0]
    rows: list[tuple[float, tuple[int, int]]] = []
    taken: list[tuple[float, tuple[int, int]]] = []

    def note(now: float, entries: list[tuple[int, int]], _: Any) -> None:
        rows.extend((now, entry) for entry in entries)

    def look(now: float, _: Any, __: Any) -> None:
        taken.extend((now, entry) for entry in unwanted if engine.take_one(now, note, entry))

    for moment in {moment for moment, _ in everything}:
        engine.at(moment, look)
    for number in range(len(batches)):
        engine.each(note, [due for due in everything if due[1][0] == number])
    engine.run(10.0)
    assert sorted(rows + taken) == sorted(everything)
    assert rows == sorted(rows)
    # All of the batch that comes first at a moment can be had, and of the next one where nothing is left of it.
    for moment in {moment for moment, _ in everything}:
        due = sorted(entry for at, entry in everything if at == moment)
        kept = min((entry[0] for entry in due if entry not in unwanted), default=len(batches))
        assert [entry for at, entry in taken if at == moment] == [
            entry for entry in due if entry in unwanted and entry[0] <= kept
        ]


def taken_where_shuffled(seed: int) -> list[tuple[int, list[bool]]]:
    """Which of another's, of one's own and of one's own again could be taken out, by each of two lanes."""
    engine, found = ShuffledEngine(seed, lambda a: a[0] if isinstance(a, list) else a), list[tuple[int, list[bool]]]()
    trace = Trace(engine)

    def look(now: float, lane: int, _: Any) -> None:
        found.append((lane, [engine.take_one(now, trace.note, other) for other in (30 - lane, lane, lane)]))

    for lane in (10, 20):
        engine.at(1.0, look, lane)
        engine.each(trace.note, [(1.0, lane)])
        engine.at(1.0, trace.note, lane)
    engine.run(2.0)
    assert trace.rows == [(1.0, lane) for lane, _ in found]
    return found


def test_where_lanes_are_shuffled_what_is_next_in_ones_own_is_taken_out() -> None:
    found = [taken_where_shuffled(seed) for seed in range(20)]
    assert {tuple(lane for lane, _ in lanes) for lanes in found} == {(10, 20), (20, 10)}
    assert all(taken == [False, True, False] for lanes in found for _, taken in lanes)


def test_a_simpy_process_beside_it_sees_the_results_within_a_quantum() -> None:
    env = simpy.Environment()
    engine = Engine(env, quantum_s=0.5)
    trace = Trace(engine)
    seen: list[tuple[float, int]] = []

    def watch() -> Generator[simpy.Event, Any, None]:
        for _ in range(8):
            yield env.timeout(1.0)
            seen.append((env.now, len(trace.rows)))

    env.process(watch())
    for tenth in range(60):
        engine.at(tenth / 10, trace.note, tenth)
    engine.run(8.0)
    for now, count in seen:
        due = sum(tenth / 10 <= now for tenth in range(60))
        due_before = sum(tenth / 10 <= now - 0.5 - 0.1 for tenth in range(60))
        assert due_before <= count <= due, f"at {now} s {count} of {due} were there"
    assert seen[-1][1] == 60


def test_it_stops_at_the_end_and_runs_nothing_after_it() -> None:
    engine = Engine()
    trace = Trace(engine)
    engine.at(3.0, trace.note, "at the end")
    engine.at(3.1, trace.note, "after it")
    assert engine.run(3.0) == 3.0
    assert trace.rows == [(3.0, "at the end")]


def test_it_stops_when_all_is_settled_and_says_how_far_it_is() -> None:
    engine = Engine(quantum_s=0.5)
    trace = Trace(engine)
    for second in range(20):
        engine.at(float(second), trace.note, second)
    heard: list[float] = []
    reached = engine.run(20.0, stop_when=lambda now: len(trace.rows) >= 5, progress=heard.append)
    assert 4.0 <= reached <= 5.0
    assert heard == sorted(heard)
    assert heard[-1] == reached


def test_the_garbage_collector_is_left_as_it_was_found() -> None:
    # A server that another test ran in this process has left the collector as servers like it.
    gc.unfreeze()
    gc.set_threshold(700, 10, 10)
    before = gc.get_threshold()
    engine = Engine()

    def broken(now: float, a: Any, b: Any) -> None:
        raise RuntimeError(f"at {now} with {gc.get_threshold()[0]}")

    engine.at(1.0, broken)
    with pytest.raises(RuntimeError, match=r"^at 1\.0 with \d+$") as caught:
        engine.run(2.0)
    assert str(before[0]) != str(caught.value).split()[-1], "it looks for garbage less often meanwhile"
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_garbage_is_looked_for_everywhere_after_much_and_not_after_every_run() -> None:
    found: list[int] = []

    def note(phase: str, info: dict[str, Any]) -> None:
        found.append(info["generation"])

    def played(events: int) -> int:
        """How often a run of so many events has looked through everything."""
        engine = Engine()
        engine.at(1.0, Trace(engine).note)
        for _ in range(events - 1):
            engine.at(1.0, lambda now, a, b: None)
        found.clear()
        engine.run(2.0)
        return found.count(2) // 2  # it is told when it starts and when it stops

    gc.callbacks.append(note)
    try:
        played(LITTER_MAX + 1)
        assert [played(LITTER_MAX // 2) for _ in range(5)] == [1, 0, 0, 1, 0]
        assert [played(LITTER_MAX + 1) for _ in range(3)] == [0, 1, 1]
    finally:
        gc.callbacks.remove(note)


def test_an_action_may_end_the_run_at_its_very_moment() -> None:
    engine = Engine(quantum_s=1.0)
    trace = Trace(engine)
    engine.at(1.25, trace.note, "before")
    engine.at(1.25, lambda now, a, b: engine.stop())
    engine.at(1.25, trace.note, "behind")
    engine.at(1.5, trace.note, "later")
    assert engine.run(10.0) == 1.25
    assert trace.rows == [(1.25, "before")]


def shuffled(seed: int) -> list[str]:
    """The order in which two things of each of four lanes happen at one moment."""
    engine, done = ShuffledEngine(seed, lambda a: a[0] if isinstance(a, list) else a), list[str]()
    for lane in range(4):
        engine.at(1.0, lambda now, a, b: done.append(f"{a}{b}"), lane, "x")
        engine.each(lambda now, a, b: done.extend(f"{one}{b}" for one in a), [(1.0, lane)], "y")
    engine.run(2.0)
    return done


def test_what_is_independent_comes_in_an_order_of_its_seed_and_a_lane_keeps_its_own() -> None:
    orders = {tuple(shuffled(seed)) for seed in range(20)}
    assert len(orders) > 10
    assert all(order.index(f"{lane}x") < order.index(f"{lane}y") for order in orders for lane in range(4))
    assert shuffled(3) == shuffled(3)


def test_a_simulation_that_stands_still_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatsim.sim.engine.STEPS_MAX", 100)
    engine = Engine()

    def again(now: float, _: object, __: object) -> None:
        engine.at(now, again)

    engine.at(1.0, again)
    with pytest.raises(HarnessError, match="does not get beyond 1 s"):
        engine.run(2.0)
