"""What is read off the rounds of a calibration."""

from __future__ import annotations

from math import isnan, nan

import msgspec
import numpy as np
import pytest

from chatsim.analysis.rounds import Loads, kinds_of, mean_of, middle
from tests.analysis.planted import COSTS_S, IDLE, measured

LEVELLED = measured(rounds=4, cv=0.0, costs={"cold": 40e-6, "cold_after": 0.0004}, levels=(0.2, 0.5))


def test_the_middle_leaves_out_a_quarter_at_either_end_and_what_is_not_there() -> None:
    assert middle(np.array([100.0, 1.0, 3.0, -50.0])) == 2.0
    assert middle(np.array([100.0, 1.0, nan, 3.0, -50.0])) == 2.0
    assert middle(np.array([[1.0, 2.0], [3.0, 4.0]]), axis=1).tolist() == [1.5, 3.5]
    assert isnan(middle(np.array([nan])))
    assert isnan(mean_of(()))
    assert mean_of((1.0, 2.0)) == 1.5


def test_rounds_are_told_by_their_levels() -> None:
    assert [kind.tolist() for kind in kinds_of(LEVELLED.rounds)] == [[0, 2], [1, 3]]
    assert [kind.tolist() for kind in Loads(LEVELLED.rounds, 0.0).kinds] == [
        [True, False, True, False],
        [False, True, False, True],
    ]


def test_what_is_seen_is_divided_by_the_speed_of_then_to_the_power_by_which_it_counts() -> None:
    rounds = measured(rounds=2, cv=0.0).rounds
    slow = {name: msgspec.structs.replace(one, reference_s=0.004) for name, one in rounds[1].items()}
    loads = Loads([rounds[0], slow], usual_s=0.002, power=2.0)
    assert loads.speed(rounds[0]["said"]) == 1.0, "nobody has looked"
    assert loads.speed(slow["said"]) == 4.0
    first, second = loads.answered("said")
    assert first == pytest.approx(4.0 * second)


def test_an_operation_is_without_what_a_silent_server_uses() -> None:
    loads = Loads(measured(rounds=2, cv=0.0).rounds, 0.0)
    assert loads.idle.tolist() == pytest.approx([IDLE, IDLE])
    told = COSTS_S["wake"] + COSTS_S["frame_typing"]
    assert loads.ops("typing").tolist() == pytest.approx([told, told])


def test_a_log_rests_between_an_answer_and_the_next_operation() -> None:
    rounds = measured(rounds=1, cv=0.0).rounds
    [rested] = Loads(rounds, 0.0).rested("kept late")
    seen = rounds[0]["kept late"]
    assert rested == pytest.approx(seen.wall_s / seen.ops - seen.answered_s[0])
    rounds[0]["kept late"] = msgspec.structs.replace(seen, ops=0)
    assert isnan(Loads(rounds, 0.0).rested("kept late")[0])
