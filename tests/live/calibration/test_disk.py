"""A few commits are made, with rests between them, and nothing is left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatsim.errors import HarnessError
from chatsim.live.calibration.disk import COMMITS, REST_S, commits_s


def test_each_commit_takes_its_time_behind_a_rest(tmp_path: Path) -> None:
    rests: list[float] = []
    took = commits_s(tmp_path, 5, rests.append)
    assert len(took) == 5
    assert min(took) > 0
    assert rests == [REST_S] * 5
    assert list(tmp_path.iterdir()) == []
    assert len(commits_s(tmp_path, rest=rests.append)) == COMMITS


def test_a_folder_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"How fast the disk of .* cannot be told"):
        commits_s(tmp_path / "none")
