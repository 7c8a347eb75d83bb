"""Notes come back as they were written, up to where a file was cut off."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatsim.errors import HarnessError
from chatsim.live.notes import read, written_to
from chatsim.live.speed import Glance
from chatsim.verdict.stalls import Stall


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    found = [Stall(0.1 + 0.2, 1 / 3), Stall(12345.6789, 12346.0)]
    with path.open("w", encoding="ascii") as file:
        write = written_to(file)
        for note in found:
            write(note)
            assert path.read_text(encoding="ascii").endswith("\n")
        file.write("12350.0 123")
    assert read(path, Stall, "stalls") == found


def test_a_line_has_as_many_numbers_as_its_note(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    with path.open("w", encoding="ascii") as file:
        written_to(file)(Glance(1.0, 2e-4, 1e-4))
    assert read(path, Glance, "speed") == [Glance(1.0, 2e-4, 1e-4)]


@pytest.mark.parametrize("text", ["1.0\n", "1.0 2.0 3.0\n", "soon later\n"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "notes"
    path.write_text(text, encoding="ascii")
    with pytest.raises(HarnessError, match="holds no stalls"):
        read(path, Stall, "stalls")
