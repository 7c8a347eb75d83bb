"""Whatever a path is, asking what stands there raises nothing."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from chatsim.scenario.paths import exists, is_file, is_folder, is_link


def looks(path: Path) -> tuple[bool, bool, bool]:
    return exists(path), is_folder(path), is_file(path)


def test_it_says_what_stands_there(tmp_path: Path) -> None:
    file, folder, link = tmp_path / "file", tmp_path, tmp_path / "link"
    file.touch()
    link.symlink_to(folder)
    assert looks(file) == (True, False, True)
    assert (is_link(file), is_link(link)) == (False, True)
    assert looks(folder) == looks(link) == (True, True, False)
    assert looks(tmp_path / "none") == looks(file / "below") == (False, False, False)


def test_what_cannot_be_looked_at_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert looks(tmp_path / ("x" * 300)) == (False, False, False)
    assert looks(Path("a\0b")) == (False, False, False)
    shut = tmp_path / "shut"
    shut.mkdir()
    seen = os.stat

    def stat(path: Any, **words: Any) -> os.stat_result:
        if Path(path).parent == shut:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return seen(path, **words)

    # Permissions do not bind whoever may do all.
    monkeypatch.setattr(os, "stat", stat)
    assert looks(shut) == (True, True, False)
    assert looks(shut / "file") == (False, False, False)
    assert not is_link(shut / "file")
