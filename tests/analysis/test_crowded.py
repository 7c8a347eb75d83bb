"""One thing after the other, path by path."""

from __future__ import annotations

import numpy as np
import pytest

from chatsim.analysis.crowded import delays


@pytest.mark.parametrize("seed", range(50))
def test_it_is_the_recursion_of_a_queue(seed: int) -> None:
    generator = np.random.default_rng(seed)
    due_at = generator.uniform(0.0, 1.0, 200)
    each_s = generator.uniform(0.0, 0.008)
    expected, free_at = {}, 0.0
    for at in np.sort(due_at):
        free_at = max(at, free_at) + each_s
        expected[at] = free_at - at
    assert delays(due_at, each_s) == pytest.approx([expected[at] for at in due_at], abs=1e-9)


def test_a_crowd_that_takes_no_time_adds_none() -> None:
    assert delays([0.3, 0.1, 0.1], 0.0).tolist() == [0.0, 0.0, 0.0]
    assert delays([], 0.1).size == 0
