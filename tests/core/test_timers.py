"""Timers: due in order, never late, never lost."""

from __future__ import annotations

from bisect import bisect_right
from math import inf
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from chatsim.core.timers import SIFTED_MIN, SIFTED_WITH_EACH, Heap, Line

MOMENTS = st.lists(st.floats(0, 1000), max_size=40)


def drain(timers: Line[int] | Heap[int], now: float) -> list[int]:
    found = []
    while (item := timers.pop(now)) is not None:
        found.append(item)
    return found


def test_an_empty_timer_never_wakes() -> None:
    for timers in (Line[int](5.0), Heap[int]()):
        assert timers.next_at == inf
        assert timers.pop(inf) is None
        assert len(timers) == 0


@settings(deadline=None)
@given(MOMENTS)
def test_a_line_gives_back_in_the_order_of_adding(moments: list[float]) -> None:
    line: Line[int] = Line(30.0)
    for place, added_at in enumerate(sorted(moments)):
        line.add(added_at, place)
    assert len(line) == len(moments)
    assert line.next_at == min(moments, default=inf) + 30.0
    assert drain(line, 29.9) == []
    assert drain(line, 1030) == list(range(len(moments)))


@given(MOMENTS, MOMENTS)
def test_what_waits_from_an_earlier_moment_comes_in_its_place(added: list[float], put: list[float]) -> None:
    line: Line[tuple[int, float]] = Line(5.0)
    for since in sorted(added):
        line.add(since, (0, since))
    for since in put:
        line.put(since, (1, since))
    found = [item for _ in range(len(line)) if (item := line.pop(inf)) is not None]
    assert found == sorted([(0, since) for since in added] + [(1, since) for since in put], key=lambda item: item[1])


def test_a_line_gives_its_first_away_undue() -> None:
    line: Line[str] = Line(30.0)
    line.add(1.0, "one")
    line.add(2.0, "two")
    assert (line.first, line.shift()) == ("one", 1.0)
    assert (line.first, line.next_at) == ("two", 32.0)
    assert line.pop(32.0) == "two"
    assert line.first is None


@settings(deadline=None)
@given(MOMENTS, st.floats(0, 1000))
def test_a_heap_gives_what_is_due_and_keeps_the_rest(moments: list[float], now: float) -> None:
    heap: Heap[int] = Heap()
    for place, due_at in enumerate(moments):
        heap.add(due_at, place)
    due = [place for place, _ in sorted(enumerate(moments), key=lambda entry: entry[1]) if moments[place] <= now]
    assert drain(heap, now) == due
    assert len(heap) == len(moments) - len(due)
    assert heap.next_at == min((m for m in moments if m > now), default=inf)


def test_entries_of_one_moment_keep_their_order() -> None:
    heap: Heap[int] = Heap()
    for place in range(20):
        heap.add(5.0, place)
    assert drain(heap, 4.999) == []
    assert drain(heap, 5.0) == list(range(20))


def test_a_heap_forgets_what_is_not_alive_and_keeps_the_order_of_the_rest() -> None:
    heap: Heap[int] = Heap()
    for place in range(100):
        heap.add(float(place % 7), place)
    heap.prune(lambda due_at, place: due_at == place % 7 and place % 3 == 0)
    alive = sorted(range(0, 100, 3), key=lambda place: (place % 7, place))
    assert (len(heap), drain(heap, 6.0)) == (len(alive), alive)


def test_a_front_that_means_nothing_goes_with_what_comes() -> None:
    """Never is all of it looked at in one go, which would keep a loop for milliseconds: two are asked for each that is
    added, where what comes later loses its meaning later, as messages that are acked do."""
    asked, alive = [0], 300
    newest = 0

    def means(number: int) -> bool:
        asked[0] += 1
        return number > newest - alive

    line: Line[int] = Line(10.0, means)
    most = 0
    for number in range(20_000):
        newest, before = number, asked[0]
        line.add(number / 1000, number)
        assert len(line) <= 2 * alive + 1
        if number > 4 * alive:
            most = max(most, asked[0] - before)
    assert most == 2
    assert line.first == newest - alive + 1


def test_a_growing_line_is_looked_through_a_few_at_a_time() -> None:
    """All of it in one go, whenever it had doubled, took 4 ms at four thousand messages and 20 at twenty."""
    asked = [0]

    def means(number: int) -> bool:
        asked[0] += 1
        return number % 2 == 0

    line: Line[int] = Line(10.0, means)
    for number in range(20_000):
        before = asked[0]
        line.add(number / 1000, number)
        assert asked[0] - before <= SIFTED_WITH_EACH
        assert len(line) <= max(SIFTED_MIN, number + 1 - number // 4), "what means nothing goes all the same"
    assert [one for one in drain(line, 100.0) if one % 2 == 0] == list(range(0, 20_000, 2))


@given(st.lists(st.sampled_from(["add", "add", "add", "put", "pop", "shift", "lose"]), max_size=600), st.randoms())
def test_a_line_is_what_a_sorted_list_would_be(acts: list[str], chance: Random) -> None:
    """Whatever is done while it is sifted: the same in the same order, but for what means nothing."""
    lost: set[int] = set()
    line: Line[int] = Line(5.0, lambda number: number not in lost)
    # So many that the line is looked through, a few at a time: most of what is done comes in the middle of that.
    model = [(float(number), number) for number in range(3 * SIFTED_MIN)]
    for since, number in model:
        line.add(since, number)
    now = float(len(model))
    for number, act in enumerate(acts, start=len(model)):
        now += 0.5
        if act == "add":
            line.add(now, number)
            model.append((now, number))
        elif act == "put":
            since = chance.choice(model)[0] if model else now
            line.put(since, number)
            place = bisect_right([entry[0] for entry in model], since)
            model.insert(place, (since, number))
        elif act == "lose" and model:
            lost.add(chance.choice(model)[1])
        elif act in ("pop", "shift") and line.first is not None:
            first = line.first
            assert line.next_at == next(since for since, item in model if item == first) + 5.0
            assert all(item in lost for _, item in model[: [item for _, item in model].index(first)])
            model = model[[item for _, item in model].index(first) + 1 :]
            if act == "shift":
                line.shift()
            else:
                assert line.pop(now + 1000.0) == first
    assert [item for item in drain(line, now + 1000.0) if item not in lost] == [
        item for _, item in model if item not in lost
    ]


def test_what_is_put_in_its_place_is_not_hoarded_either() -> None:
    line: Line[bool] = Line(10.0, lambda means: means)
    line.add(1000.0, True)
    for number in range(10 * SIFTED_MIN):
        line.put(float(number), False)
        assert len(line) <= SIFTED_MIN + 1
    while not (means := line.pop(1010.0)):
        assert means is not None, "what means something is there still"


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=400))
def test_a_line_keeps_all_that_means_something_and_hoards_nothing_else(things: list[tuple[int, bool]]) -> None:
    line: Line[tuple[int, bool]] = Line(10.0, lambda thing: thing[1])
    most = 0
    for number, thing in enumerate(things):
        line.add(number / 400, thing)
        most = sum(meant for _, meant in things[: number + 1])
        assert len(line) <= max(SIFTED_MIN, 2 * most) + 1
    left = []
    while (thing_ := line.pop(20.0)) is not None:
        left.append(thing_)
    assert [thing for thing in left if thing[1]] == [thing for thing in things if thing[1]]
    assert line.next_at == inf
