"""What cannot be written is known before, and looking leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatsim.cli.places import check_file, check_folder
from chatsim.errors import UsageError


def test_a_place_that_is_free_stays_as_it_is(tmp_path: Path) -> None:
    check_folder(tmp_path / "deep" / "deeper", "--out")
    check_file(tmp_path / "deep" / "page.md", "--report")
    there = tmp_path / "there.md"
    there.write_text("kept")
    check_file(there, "--report")
    assert there.read_text() == "kept"
    assert list(tmp_path.iterdir()) == [there]


def test_a_file_in_the_way_is_refused_with_the_flag(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    for folder in (taken, taken / "below"):
        with pytest.raises(UsageError, match=r"cannot write to .*taken.* \(.+\): name another folder with --out"):
            check_folder(folder, "--out")
    with pytest.raises(UsageError, match=r"cannot write to .*page\.md \(.+\): name another file with --report"):
        check_file(taken / "page.md", "--report")
    with pytest.raises(UsageError, match=r"name another file with --report"):
        check_file(tmp_path, "--report")


def test_where_the_system_lets_nobody_write_is_refused() -> None:
    # There it is no question of who asks: nothing can be made among the processes.
    with pytest.raises(UsageError, match="cannot write to /proc/new/page"):
        check_file(Path("/proc/new/page"), "--report")
