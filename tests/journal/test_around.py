"""Of two long lines, the place at which they differ is in sight."""

from __future__ import annotations

import pytest

from chatsim.journal.around import SHOWN, around


@pytest.mark.parametrize("place", [0, 1, 100, SHOWN, 1000, 4999])
def test_the_first_difference_is_shown_wherever_it_is(place: int) -> None:
    line = "a" * 5000
    other = f"{line[:place]}B{line[place + 1 :]}"
    shown = around(other, line)
    assert "B" in shown
    assert len(shown) <= SHOWN + 2
    assert shown.startswith("…") == (place > SHOWN // 3)
    assert "a" in around(line, other)


def test_a_line_that_goes_on_is_shown_from_before_the_end_of_the_other() -> None:
    long = "a" * 300 + "tail"
    assert around(long, "a" * 300).endswith("tail")
    assert around("a" * 300, long) == f"…{'a' * (SHOWN // 3)}"


def test_short_lines_are_shown_whole() -> None:
    assert (around("abc", "abd"), around("", "abc")) == ("abc", "")
