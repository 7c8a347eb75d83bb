"""How distributions and files of numbers are spelled, and what is refused about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chatsim.scenario import distributions as d
from chatsim.scenario import units
from chatsim.scenario.faults import FaultsError, dotted
from chatsim.scenario.reading import find_file, read_distribution, read_numbers


def test_the_place_decides_the_unit() -> None:
    assert read_distribution(120, units.size) == d.Constant(value=120.0)
    assert read_distribution({"uniform": {"low": 0, "high": "1KiB"}}, units.size) == d.Uniform(low=0.0, high=1024.0)
    assert read_distribution(0, units.duration) == d.Constant(value=0.0)


@pytest.mark.parametrize(
    ("words", "path", "hint"),
    [
        (3, "", "write 3s"),
        ([], "", "a list is not a duration"),
        ({}, "", "names 0 distributions"),
        ({"constant": "1s", "exponential": {"mean": "1s"}}, "", "names 2 distributions"),
        ({"expnential": {"mean": "1s"}}, "expnential", "did you mean exponential?"),
        ({"constant": 3}, "constant", "write 3s"),
        ({"exponential": "3s"}, "exponential", "takes {mean}"),
        ({"exponential": {"maen": "3s"}}, "exponential.maen", "did you mean mean?"),
        ({"exponential": {"mean": "0s"}}, "exponential.mean", "more than 0"),
        ({"lognormal": {"median": "1s"}}, "lognormal", "takes {median, p99} or {mean, cv}, and got {median}"),
        ({"lognormal": {"median": "1s", "cv": 1}}, "lognormal", "takes {median, p99} or {mean, cv}"),
        ({"lognormal": {"median": "2s", "p99": "1s"}}, "lognormal.p99", "more than the median"),
        ({"lognormal": {"mean": "2s", "cv": "1s"}}, "lognormal.cv", "plain number"),
        ({"lognormal": {"mean": "2s", "cv": 1000}}, "lognormal.cv", "over 100"),
        ({"uniform": {"low": "2s", "high": "1s"}}, "uniform.high", "exchange"),
        ({"normal": {"mean": "1s", "sd": "950ms"}}, "normal.sd", "use lognormal"),
        ({"pareto": {"mean": "1s", "shape": 1}}, "pareto.shape", "raise shape"),
        ({"weibull": {"mean": "1s", "shape": 0.01}}, "weibull.shape", "between"),
        ({"constant": "1s", "shift": 1}, "shift", "write 1s"),
        ({"uniform": {"low": 0, "high": "1s", "shift": 1}}, "uniform.shift", "write 1s"),
        ({"uniform": {"low": 0, "high": "1s", "shift": "1s"}, "shift": "1s"}, "uniform.shift", "keep one"),
        ({"mixture": {}}, "mixture", "takes a list"),
        ({"mixture": [{"constant": "1s"}]}, "mixture[0]", "with a weight"),
        ({"mixture": [{"weight": 0, "constant": "1s"}]}, "mixture", "all weights are 0"),
        ({"mixture": [{"weight": 1, "constant": 1}]}, "mixture[0].constant", "write 1s"),
        ({"empirical": {"file": "none.txt"}}, "empirical.file", "is not a file"),
        ({"empirical": {"file": 3}}, "empirical.file", "takes a path"),
    ],
)
def test_refusals(words: Any, path: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(FaultsError) as caught:
        read_distribution(words, units.duration, tmp_path)
    assert [dotted(at) for at, _ in caught.value.found] == [path]
    assert hint in caught.value.found[0][1]


def test_all_faults_of_one_distribution_come_at_once() -> None:
    with pytest.raises(FaultsError) as caught:
        read_distribution({"lognormal": {"median": 3, "p99": "x"}, "shift": "y"}, units.duration)
    assert [dotted(at) for at, _ in caught.value.found] == ["shift", "lognormal.median", "lognormal.p99"]


@pytest.mark.parametrize(
    ("words", "paths"),
    [
        ({"constant": 1, "shft": "1s"}, ["shft", "constant"]),
        ({"constant": 1, "lognormal": {"median": 3, "p99": "4s"}}, ["", "constant", "lognormal.median"]),
        ({"uniform": {"low": 5, "hihg": "1s"}}, ["uniform.hihg", "uniform.low"]),
        ({"lognormal": {"median": 3}}, ["lognormal", "lognormal.median"]),
        (
            {"mixture": [{"weight": "x", "constant": 1}, {"constant": 2}, 3]},
            ["mixture[0].weight", "mixture[0].constant", "mixture[1]", "mixture[1].constant", "mixture[2]"],
        ),
    ],
)
def test_no_fault_of_a_distribution_hides_another(words: Any, paths: list[str]) -> None:
    with pytest.raises(FaultsError) as caught:
        read_distribution(words, units.duration)
    assert [dotted(at) for at, _ in caught.value.found] == paths


def test_every_wrong_line_of_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "n.txt").write_text("x\n1s\n-1\n", encoding="utf-8")
    with pytest.raises(FaultsError) as caught:
        read_numbers("n.txt", units.duration, tmp_path)
    assert [text.split(":")[1] for _, text in caught.value.found] == ["1", "3"]


@pytest.mark.parametrize(
    ("content", "hint"),
    [(b"", "holds no numbers"), (b"1\nx\n", ":2:"), (b"-1\n", "0 or more"), (b"nan\n", "finite"), (b"\xff", "as text")],
)
def test_files_of_numbers_that_are_none(content: bytes, hint: str, tmp_path: Path) -> None:
    (tmp_path / "n.txt").write_bytes(content)
    with pytest.raises(FaultsError, match=hint):
        read_numbers("n.txt", units.duration, tmp_path)


def test_files_are_looked_for_beside_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "n.txt").write_text("2ms")
    assert find_file("n.txt", tmp_path) == tmp_path / "n.txt"
    assert read_numbers("n.txt", units.duration, tmp_path) == (0.002,)
    with pytest.raises(FaultsError):
        find_file("a\0b", tmp_path)
    with pytest.raises(FaultsError):
        find_file("x" * 300, tmp_path)
