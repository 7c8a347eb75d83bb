"""A misspelt name is told with the nearest, and a command is never cut."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from chatsim.analysis.held import Held, again_html, cut, shell


class Box(Held):
    """Something with names."""

    _what = "a box"

    def __init__(self) -> None:
        self.messages = 5

    @property
    def broken(self) -> int:
        """What is wrong with it is said, and not that it is not there."""
        raise ValueError("broken inside")


def test_a_name_that_is_not_there_is_told_with_the_nearest() -> None:
    box: Any = Box()
    with pytest.raises(AttributeError, match=r"^a box has no mesages \(did you mean messages\?\)$"):
        _ = box.mesages
    with pytest.raises(AttributeError, match=r"^a box has no zzz \(known: broken, messages\)$"):
        _ = box.zzz
    with pytest.raises(ValueError, match="broken inside"):
        _ = box.broken
    assert not hasattr(box, "_repr_svg_")


def test_it_is_copied_and_pickled_as_anything_is() -> None:
    assert copy.copy(Box()).messages == pickle.loads(pickle.dumps(Box())).messages == 5


def test_lines_are_cut_and_commands_are_not() -> None:
    assert cut("x" * 81) == "x" * 79 + "…"
    assert cut("x" * 80) == "x" * 80
    again = ["chatsim run s.yaml", *[f"--set users={'9' * 30}"] * 3, "--seed 1"]
    lines = shell(["x" * 100], again, ["unused"]).splitlines()
    assert max(map(len, lines)) <= 80
    assert " ".join(line.strip(" \\") for line in lines[1:]) == f"again: {' '.join(again)}"
    long = ["chatsim run s.yaml", f"--set description={'x' * 80}", "--seed 1"]
    assert shell(["x"], long, ["chatsim run t.yaml", "--seed 1"]) == "x\nagain: chatsim run t.yaml --seed 1"
    a, b = "a" * 50, "b" * 50
    within = ["chatsim run s.yaml", f"""--set 'tags=["{a}", "{b}"]'""", "--seed 1"]
    lines = shell(["x"], within, ["unused"]).splitlines()
    assert lines[2:] == [f"""    --set 'tags=["{a}",""", f"""    "{b}"]' --seed 1"""]
    assert again_html(["<b>", "--seed 1"]) == "<p>again: <code>&lt;b&gt; --seed 1</code></p>"
