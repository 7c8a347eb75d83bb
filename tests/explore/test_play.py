"""One seed, played: what is counted, what is a failure, and that it is the same again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from chatsim.errors import UsageError
from chatsim.explore.draw import draw
from chatsim.explore.play import Played, Wire, _divergence, play, play_seed, wires_of
from chatsim.scenario.distributions import Exponential
from chatsim.scenario.model import Log
from chatsim.sim.run import simulate

SEED, RUNS = 20, 5
"""A seed for both wires, and how often each process plays it."""

PRINTED = f"""
from functools import partial
from chatsim.explore.campaign import play_wires
from chatsim.explore.workers import answers

if __name__ == "__main__":
    found = answers(iter([{SEED}] * {RUNS}), partial(play_wires, on="both"), {{jobs}})
    print(*(run.trace_hash for answer in found if answer is not None for run in answer[1]))
"""


def test_a_seed_is_counted() -> None:
    played = play_seed(3, "sim")
    assert played.violations == []
    assert played.messages > 0
    assert played.lasted_s > 0
    assert set(played.fired) <= {event.do for event in draw(3).events}
    assert played.reached == sorted(set(played.reached))


def test_both_plays_every_seed_in_simulation_one_in_twenty_on_virtual_and_one_in_two_is_compared() -> None:
    assert [seed for seed in range(60) if wires_of(seed, "both") == ("sim", "virtual")] == [0, 20, 40]
    assert [seed for seed in range(60) if wires_of(seed, "both") == ("sim", "agreement")] == list(range(1, 60, 2))
    assert [wires_of(3, wire) for wire in ("virtual", "agreement", "sim")] == [("virtual",), ("agreement",), ("sim",)]


def test_some_commits_take_several_messages_together() -> None:
    kept = [made for made in (draw(seed) for seed in range(40)) if made.log.store == "sqlite"]
    taken = [(len(found.commits), len(found.record.accepted)) for found in map(simulate, kept)]
    assert any(0 < commits < stored for commits, stored in taken)


def test_one_in_twenty_is_played_twice() -> None:
    assert [seed for seed in range(19, 23) if play_seed(seed, "sim").twice] == [21]


def test_the_virtual_wire_plays_it_too_and_one_in_twenty_twice() -> None:
    played = play_seed(20, "virtual")
    assert (played.violations, played.twice, played.wire) == ([], True, "virtual")
    assert not play_seed(0, "virtual").twice


class Fickle(Exponential, frozen=True, kw_only=True, tag="fickle"):
    """Latencies that hang on what was drawn before, whatever the seed: what no distribution may do."""

    drawn: list[int]

    def _draw(self, generator: np.random.Generator, n: int) -> NDArray[np.float64]:
        self.drawn.append(n)
        return np.full(n, 0.001 * len(self.drawn))


@pytest.mark.parametrize("wire", ["sim", "virtual"])
def test_a_run_that_goes_otherwise_when_played_again_is_a_failure_that_says_where(wire: Wire) -> None:
    scenario = draw(3)
    fickle = scenario.model_copy(update={"log": Log.model_construct(latency=Fickle(scale=0.01, drawn=[]))})
    played = play(fickle, wire, twice=True)
    assert [violation.name for violation in played.violations] == ["same_again"]
    assert " and then " in played.violations[0].detail
    assert play(scenario, wire, twice=True).violations == []


def test_whatever_raises_is_a_failure_that_says_where() -> None:
    # No file could say this, so that nothing in a run is made for it.
    broken = draw(3).model_copy(update={"log": None})
    played: Played = play(broken, "sim")
    assert [violation.name for violation in played.violations] == ["calm"]
    assert ".py:" in played.violations[0].detail


def test_what_a_wire_cannot_play_is_no_failure_of_anything() -> None:
    config = msgspec.structs.replace(draw(3).handler, algorithms=("ES256",))
    with pytest.raises(UsageError, match="HS256"):
        play(draw(3).model_copy(update={"handler": config}), "virtual")


def test_the_first_divergence_is_named(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text('{}\n[1.0,"wake"]\n[2.0,"wake"]\n')
    other.write_text('{}\n[1.0,"wake"]\n[2.5,"wake"]\n')
    at, detail = _divergence(one, other)
    assert at == 2.0
    assert detail == 'step 2 was [2.0,"wake"] and then [2.5,"wake"]'


def test_a_divergence_far_into_a_line_is_shown_and_so_is_a_line_that_is_missing(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    long = "x" * 1000
    one.write_text(f'{{}}\n[1.0,"{long}left"]\n')
    other.write_text(f'{{}}\n[1.0,"{long}right"]\n')
    _, detail = _divergence(one, other)
    assert 'xleft"]' in detail
    assert 'xright"]' in detail
    other.write_text("{}\n")
    at, detail = _divergence(one, other)
    assert (at, detail.endswith("and then none")) == (1.0, True)
    assert f'step 1 was [1.0,"{"x" * 20}' in detail


@pytest.mark.parametrize("hashes", ["1", "2"])
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_seed_is_the_same_in_any_process_whatever_the_hashes_of_texts_are(hashes: str, jobs: int) -> None:
    """With what this process finds, twenty runs on each wire, and one result of each."""
    told = subprocess.run(
        [sys.executable, "-c", PRINTED.format(jobs=jobs)],
        env={**os.environ, "PYTHONHASHSEED": hashes},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    here = [play_seed(SEED, wire).trace_hash for wire in wires_of(SEED, "both")]
    assert told.split() == here * RUNS
    assert len(set(here)) == 2
