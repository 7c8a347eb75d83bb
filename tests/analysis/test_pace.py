"""What a planted speed shows is found again. Each bound is four standard errors and more of 40 runs that were looked
at: other seeds would fail less than once in 10,000 times."""

from __future__ import annotations

import numpy as np
import pytest

from chatsim.analysis.pace import BINS, GLANCES_MIN, GROUP, Course, course_of, pace_of
from chatsim.errors import UsageError

EVERY_S = 0.002
N = 12_000


def planted(hold_s: float, cv: float, noise: float = 0.05, seed: int = 1) -> np.ndarray:
    """What pieces of the same work take (s) on a machine of two speeds, each held for so long in the mean."""
    dice = np.random.default_rng(seed)
    ends = np.cumsum(dice.exponential(hold_s, int(3 * N * EVERY_S / hold_s) + 10))
    speeds = 1.0 + cv * dice.choice([-1.0, 1.0], ends.size)
    place = np.searchsorted(ends, np.arange(N) * EVERY_S)
    return np.asarray(1.5e-3 * speeds[place] * (1.0 + noise * dice.standard_normal(N)))


@pytest.mark.parametrize("hold_s", [0.02, 0.05])
def test_what_was_planted_is_found(hold_s: float) -> None:
    found = pace_of(planted(hold_s, 0.25), EVERY_S)
    assert found is not None
    assert found.cv == pytest.approx(0.25, abs=0.025)
    assert found.hold_s == pytest.approx(hold_s, rel=0.45)
    levels = np.array(found.levels)
    assert levels.size == BINS
    assert levels.mean() == pytest.approx(1.0)
    assert np.quantile(levels, [0.25, 0.75]) == pytest.approx([0.75, 1.25], abs=0.07)
    assert found.n == N // GROUP
    assert found.cv_within[0] < found.cv < found.cv_within[1]
    assert found.hold_s_within[0] < hold_s < found.hold_s_within[1] < 2 * hold_s


def test_noise_is_no_pace() -> None:
    assert pace_of(planted(0.05, 0.0, noise=0.3), EVERY_S) is None


def test_a_hiccup_is_no_speed_that_is_held() -> None:
    """One glance in 200 takes five times as long, and the next one as long as ever."""
    took_s = planted(0.05, 0.25)
    plain = pace_of(took_s, EVERY_S)
    took_s[np.random.default_rng(3).choice(N, N // 200, replace=False)] *= 5.0
    found = pace_of(took_s, EVERY_S)
    assert plain is not None
    assert found is not None
    assert found.levels == pytest.approx(plain.levels, abs=0.05)
    assert found.hold_s == pytest.approx(plain.hold_s, rel=0.25)


def test_a_machine_that_never_changes_is_steady() -> None:
    assert pace_of(np.full(N, 1e-3), EVERY_S) is None


def test_few_glances_say_nothing() -> None:
    assert pace_of(planted(0.05, 0.25)[: GROUP * GLANCES_MIN - 1], EVERY_S) is None


def level_at(course: Course, moments: np.ndarray) -> np.ndarray:
    """What the course says of these moments (s)."""
    ends = np.cumsum(course.holds_s)
    return np.array(course.levels)[np.minimum(np.searchsorted(ends, moments, side="right"), ends.size - 1)]


def test_the_course_follows_the_speed_that_was_planted() -> None:
    """All but the neighbourhood of each change is told to within a few per cent, noise and all."""
    took_s, plain_s = planted(0.2, 0.25), planted(0.2, 0.25, noise=0.0)
    pace = pace_of(took_s, EVERY_S)
    assert pace is not None
    at = np.arange(N) * EVERY_S
    course = course_of(at, took_s, pace, EVERY_S)
    assert len(course.holds_s) == len(course.levels) == N // GROUP
    assert sum(course.holds_s) == pytest.approx(N * EVERY_S, abs=2 * GROUP * EVERY_S)
    assert np.mean(course.levels) == pytest.approx(1.0)
    off = np.abs(level_at(course, at) / (plain_s / plain_s.mean()) - 1.0)
    assert np.median(off) < 0.03
    assert np.mean(off > 0.1) < 0.1


def test_a_course_goes_by_the_moments_of_its_glances() -> None:
    """A server that is busy is looked at less often: what was seen then lasted for longer."""
    pace = pace_of(planted(0.2, 0.25), EVERY_S)
    assert pace is not None
    often, seldom = np.arange(300) * 0.01, 3.0 + np.arange(60) * 0.05
    at = np.concatenate([often, seldom])
    course = course_of(at, np.where(at < 3.0, 1e-3, 2e-3), pace, 0.01)
    told = level_at(course, np.array([1.0, 2.5, 3.5, 5.5]))
    assert told[:2] == pytest.approx(told[0])
    assert told[2:] == pytest.approx(2 * told[0])


@pytest.mark.parametrize("count", [0, GROUP - 1])
def test_too_few_glances_have_no_course(count: int) -> None:
    pace = pace_of(planted(0.2, 0.25), EVERY_S)
    assert pace is not None
    with pytest.raises(UsageError, match=f"takes {GROUP} glances"):
        course_of([0.0] * count, [1e-3] * count, pace, EVERY_S)
