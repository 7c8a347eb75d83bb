"""A whole calibration, as short as can be: everything is there, and what differs a lot differs the right way.

How long anything takes is not looked at: only that ten times the work costs more than the work.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chatsim.live.calibration.loads import BY_NAME
from chatsim.live.calibration.measure import FULL, QUICK, Effort, measure
from chatsim.live.calibration.seen import Measured
from chatsim.runner.calibrate import calibration
from chatsim.scenario.costs import WORDS, read_costs
from chatsim.store.calibration import write

TINY = Effort(rounds=2, load_s=0.01, warm_ops=2, idle=20, chunks=2, churn=2_000)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Measured, list[float]]]:
    shares: list[float] = []
    folder = tmp_path_factory.mktemp("measured")
    yield measure(TINY, folder, journal=False, progress=shares.append), shares
    assert list(folder.iterdir()) == [], "nothing is left behind"


def test_every_round_has_every_load_and_the_reference_is_beside(seen: tuple[Measured, list[float]]) -> None:
    found, shares = seen
    assert [set(one) for one in found.rounds] == [set(BY_NAME)] * TINY.rounds
    assert len(found.reference_s) == TINY.rounds + 2
    assert all(one > 0 for one in found.reference_s)
    assert found.churned >= TINY.churn
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_every_load_was_counted(seen: tuple[Measured, list[float]]) -> None:
    found, _ = seen
    loads = ("presence 1x0 plain", "presence 1x64 plain", "door missing plain", "door missing tls", "kept 128", "pings")
    assert all(measured[load].ops > 0 for measured in found.rounds for load in loads)
    assert all(sum(chunk.size_bytes for chunk in chunks) > 0 for chunks in found.memory.values())


def test_a_scenario_takes_what_was_measured(seen: tuple[Measured, list[float]], tmp_path: Path) -> None:
    made = calibration(seen[0], chatsim="0.1.0", made_at="2026-01-02", quick=True, journal=False)
    write(tmp_path / "calibration.json", made)
    costs = read_costs("calibration.json", tmp_path)
    assert all(getattr(costs, word).mean >= 0 for word in WORDS)


def test_both_efforts_are_bounded() -> None:
    """Rounds of all loads, each with its rests, and what goes before and after: 3 min and 30 s on a quiet machine."""
    for effort, bound_s in ((FULL, 180), (QUICK, 30)):
        loads_s = len(BY_NAME) * (effort.load_s + 0.06)
        assert effort.rounds * loads_s < bound_s * 0.75
