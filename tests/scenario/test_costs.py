"""Costs come from the shipped defaults, from zero, from a file, or by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chatsim.scenario.costs import WORDS, Costs, free, read_costs
from chatsim.scenario.distributions import Constant, Exponential
from chatsim.scenario.faults import FaultsError, dotted


def test_the_shipped_numbers() -> None:
    made = read_costs("default")
    assert [getattr(made, word).mean for word in WORDS] == [20e-6, 60e-6, 1e-3, 1e-6, 10e-6, 5e-6, 8e-6]
    assert not made.is_free


@pytest.mark.parametrize("zero", [0, 0.0])
def test_zero_makes_the_node_free(zero: object) -> None:
    made = read_costs(zero)
    assert made == free()
    assert made.is_free


def test_what_is_left_out_keeps_its_default() -> None:
    made = read_costs({"frame": "3us", "write": {"exponential": {"mean": "1us"}}, "ping": 0})
    assert made == Costs(frame=Constant(value=3e-6), write=Exponential(scale=1e-6), ping=Constant(value=0.0))


@pytest.mark.parametrize("text", ["frame: 3us\n", "costs:\n  frame: 3us\n", '{"costs": {"frame": "3us"}}'])
def test_a_file_beside_the_scenario(text: str, tmp_path: Path) -> None:
    (tmp_path / "costs.yaml").write_text(text)
    assert read_costs("costs.yaml", tmp_path).frame == Constant(value=3e-6)


@pytest.mark.parametrize(
    ("value", "path", "hint"),
    [
        (3, "", "0 for a free node"),
        (True, "", "default, 0"),
        (None, "", "default, 0"),
        ("defualt", "", "did you mean default?"),
        ({"frme": "1us"}, "frme", "did you mean frame?"),
        ({"frame": 1}, "frame", "write 1s"),
        ({"frame": {"gamma": {}}}, "frame.gamma", "takes"),
        ("wrong.yaml", "", "unknown cost 'frme'"),
        ("list.yaml", "", "should be a mapping"),
        ("broken.yaml", "", "is not YAML"),
        ("twice.yaml", "", "given twice"),
    ],
)
def test_refusals(value: Any, path: str, hint: str, tmp_path: Path) -> None:
    for name, text in {
        "wrong": "frme: 1us",
        "list": "[1]",
        "broken": "a: [",
        "twice": "frame: 1us\nframe: 2us",
    }.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    with pytest.raises(FaultsError) as caught:
        read_costs(value, tmp_path)
    assert dotted(caught.value.found[0][0]) == path
    assert hint in caught.value.found[0][1]
