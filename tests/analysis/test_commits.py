"""What commits cost comes back as it was planted, and what kept an ack waiting beside is none of it."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from chatsim.analysis.commits import commit_shape
from chatsim.analysis.costing import costing
from chatsim.analysis.rounds import Loads
from chatsim.live.calibration.loads import KEPT
from tests.analysis.planted import COMMIT_COLD_AFTER_S, COMMIT_CPU_S, COSTS_S, OPS, measured

EXACT = measured(cv=0.0)


def test_a_commit_has_a_share_of_work_and_one_of_the_disk() -> None:
    found = costing(EXACT, 20)
    assert found.commit_cold_after_s == COMMIT_COLD_AFTER_S
    # Of all that the commits of one record took, whatever the log had rested.
    rested = np.array([EXACT.rounds[0][name].wall_s / OPS for name in KEPT])
    answered = np.array([EXACT.rounds[0][name].answered_s[0] for name in KEPT])
    colder = 1 - np.exp(-(rested - answered) / COMMIT_COLD_AFTER_S)
    took_s = COSTS_S["commit"] + COSTS_S["commit_cold"] * colder
    assert found.commit_busy is not None
    assert found.commit_busy.value == pytest.approx(COMMIT_CPU_S * len(KEPT) / took_s.sum())


def test_where_no_ack_was_timed_nothing_is_told_of_commits() -> None:
    seen = measured(rounds=3, cv=0.0)
    for one in seen.rounds:
        one["kept late"] = msgspec.structs.replace(one["kept late"], answered_s=())
    found = costing(seen, 20)
    assert found.commit_busy is None
    assert found.commit_cold_after_s == 0.0
    assert "commit" not in found.costs
    assert any(text.startswith("commit could not be told") for text in found.warnings)


def test_the_shape_of_commits_is_that_of_those_that_waited_for_no_other() -> None:
    seen = measured(rounds=3, cv=0.0)
    alone_s = tuple(np.random.default_rng(3).lognormal(-8.0, 0.3, 400))
    for one in seen.rounds:
        one["kept soon"] = msgspec.structs.replace(one["kept soon"], answered_s=(1.0,) * 400, alone_s=alone_s)
    shape = commit_shape(Loads(seen.rounds, 0.0))
    assert shape is not None
    assert shape.n == 3 * len(alone_s)
    assert shape.mean < 0.001
    assert commit_shape(Loads(measured(rounds=3).rounds, 0.0)) is None, "all are equal"
