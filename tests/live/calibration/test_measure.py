"""A whole calibration, as short as can be: everything is there, and what differs a lot differs the right way.

How long anything takes is not looked at: only that ten times the work costs more than the work.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatsim.live.calibration.crowd import Crowd, DisturbedError, knocks
from chatsim.live.calibration.loads import BY_NAME, LOADS, Load
from chatsim.live.calibration.measure import (
    FULL,
    PLAYS_MAX,
    QUICK,
    WARM_GAP_S,
    WITNESS,
    Effort,
    Home,
    measure,
    orders,
    paced,
    play,
    together,
)
from chatsim.live.calibration.seen import Measured, Seen
from chatsim.runner.calibrate import calibration
from chatsim.scenario.costs import WORDS, read_costs
from chatsim.store.calibration import write

TINY = Effort(rounds=2, load_s=0.01, warm_ops=2, idle=20, chunks=2, churn=2_000, commits=3)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Measured, list[float]]]:
    shares: list[float] = []
    folder = tmp_path_factory.mktemp("measured")
    yield measure(TINY, folder, journal=False, progress=shares.append), shares
    assert list(folder.iterdir()) == [], "nothing is left behind"


@pytest.mark.slow
def test_every_round_has_every_load_and_the_servers_speed_beside(seen: tuple[Measured, list[float]]) -> None:
    found, shares = seen
    assert [set(one) for one in found.rounds] == [set(BY_NAME)] * TINY.rounds
    assert found.reference_s == [seen.reference_s for one in found.rounds for seen in one.values()]
    assert all(one > 0 for one in (*found.reference_s, *found.series_s, found.collecting_s, found.series_every_s))
    assert found.churned >= TINY.churn
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@pytest.mark.slow
def test_every_load_was_counted(seen: tuple[Measured, list[float]]) -> None:
    found, _ = seen
    loads = ("presence 1x0 plain", "presence 1x64 plain", "door missing plain", "door missing tls", "kept 128", "pings")
    assert all(measured[load].ops > 0 for measured in found.rounds for load in loads)
    assert all(sum(chunk.size_bytes for chunk in chunks) > 0 for chunks in found.memory.values())


@pytest.mark.slow
def test_a_scenario_takes_what_was_measured(seen: tuple[Measured, list[float]], tmp_path: Path) -> None:
    made = calibration(seen[0], chatsim="0.1.0", made_at="2026-01-02", quick=True, journal=False)
    write(tmp_path / "calibration.json", made)
    costs = read_costs("calibration.json", tmp_path)
    assert all(getattr(costs, word).mean >= 0 for word in WORDS)


def test_both_efforts_are_bounded() -> None:
    """Rounds of all loads, each with its rests, and what goes before and after: 5 min and 30 s on a quiet machine."""
    for effort, bound_s in ((FULL, 300), (QUICK, 30)):
        loads_s = len(BY_NAME) * (effort.load_s + 0.04)
        assert effort.rounds * loads_s < bound_s * 0.75


def test_doors_are_knocked_at_by_turns_and_all_else_alone() -> None:
    found = together(LOADS)
    assert sorted(load.name for loads in found for load in loads) == sorted(BY_NAME)
    assert [load.name for load in found[-2]] == ["door missing plain", "door expired plain", "door good plain"]
    assert [load.name for load in found[-1]] == ["door missing es256", "door expired es256"]
    assert all(len(loads) == 1 for loads in found[:-2])


def test_who_knocks_before_pays_for_nobody_in_particular() -> None:
    """Whoever is counted comes after one that was refused, and after either kind as often."""
    missing, expired, good = (BY_NAME[f"door {token} plain"] for token in ("missing", "expired", "good"))
    order = [place for number in range(4) for place in knocks((missing, expired, good), number)]
    assert order == [0, 1, 2, 1, 1, 0, 2, 0] * 2
    assert knocks((missing, expired), 0) + knocks((missing, expired), 1) == [0, 1, 1, 0]


def test_each_order_is_followed_by_itself_backwards() -> None:
    """So what drifts evenly over two rounds falls out; and no load always follows the same other."""
    found = list(orders(12, 6))
    assert all(sorted(order) == list(range(12)) for order in found)
    assert [order[::-1] for order in found[::2]] == found[1::2]
    assert len({tuple(order) for order in found}) == 6


def test_a_server_that_is_measured_is_alone_with_the_one_that_is_looked_at_all_along(tmp_path: Path) -> None:
    home = Home(tmp_path, None, journal=False)
    with home.crowd(WITNESS), home.crowd("pinging") as measured, home.crowd("es256") as other:
        with home.alone("pinging"):
            # Only a child that has stopped is waited for: which one says who it was.
            stopped = os.waitid(os.P_ALL, 0, os.WSTOPPED)
            assert stopped is not None
            assert os.waitid(os.P_ALL, 0, os.WSTOPPED | os.WNOHANG) is None, "no other one was stopped"
            assert measured.doors((BY_NAME["door missing es256"],), 1, 0.001)[0].ops == 1
        other.settle()
        assert other.doors((BY_NAME["door missing es256"],), 1, 0.001)[0].ops == 1


def test_a_load_is_as_fast_as_it_is_when_it_is_fast() -> None:
    """What an operation costs by itself is more than what it costs among others: the server would be kept less busy."""

    class Slept(Crowd):
        def __init__(self) -> None:
            self.gaps: list[float] = []

        def play(self, load: Load, ops: int, gap_s: float) -> Seen:
            self.gaps.append(gap_s)
            spent_s = 0.00014 if gap_s > 0.001 else 0.00007
            return Seen(ops=ops, frames=ops, heard=ops, wall_s=1.0, cpu_s=ops * spent_s, loop_s=0.0, wakes=ops)

    crowd = Slept()
    pace = paced(crowd, (BY_NAME["said"],), 10)
    assert crowd.gaps == [WARM_GAP_S, pytest.approx(0.0002)]
    assert pace.at(0.1, 0.05)[1] == pytest.approx(0.0007)


class Disturbed(Crowd):
    """A crowd whose first so many plays are in somebody's way."""

    def __init__(self, times: int) -> None:
        self.left = times

    def play(self, load: Load, ops: int, gap_s: float) -> Seen:
        self.left -= 1
        if self.left >= 0:
            raise DisturbedError("8 frames too many")
        return Seen(ops=ops, frames=ops, heard=ops, wall_s=1.0, cpu_s=0.1, loop_s=0.1, wakes=ops)


def test_a_load_that_was_disturbed_is_played_again_and_not_for_ever() -> None:
    # Found on a machine that stopped for a moment, five minutes after the calibration had begun.
    loads = (BY_NAME["told 64"],)
    assert [one.ops for one in play(Disturbed(PLAYS_MAX - 1), loads, 7, 0.01)] == [7]
    with pytest.raises(DisturbedError, match="8 frames"):
        play(Disturbed(PLAYS_MAX), loads, 7, 0.01)
