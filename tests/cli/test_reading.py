"""`lint`, `schema` and `openapi`: all errors at once, and nothing run."""

from __future__ import annotations

import json

import pytest

from chatsim.cli.main import main
from chatsim.live.openapi import document
from tests.cli.fakes import Fakes

Capture = pytest.CaptureFixture[str]


def test_good_files_are_zero(capsys: Capture) -> None:
    fakes = Fakes()
    assert main(["lint", "a.yaml"], fakes.doors()) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "1 good scenario, 0 errors\n"
    assert fakes.asked == []


def test_every_error_is_a_line_of_the_result(capsys: Capture) -> None:
    fakes = Fakes(problems=["a.yaml:1:1: name: is missing", "a.yaml:2:1: seed: is no number"])
    assert main(["lint", "a.yaml"], fakes.doors()) == 3
    out, err = capsys.readouterr()
    assert out.splitlines() == list(fakes.problems)
    assert err == "1 good scenario, 2 errors\n"


def test_nothing_linted_is_three(capsys: Capture) -> None:
    assert main(["lint", "folder"], Fakes(scenarios=[]).doors()) == 3
    assert "nothing to lint" in capsys.readouterr().err


def test_the_document_of_the_http_routes_is_printed(capsys: Capture) -> None:
    assert main(["openapi"], Fakes().doors()) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out) == document()
