"""`sweep`: what is printed and written, what is refused, and what an interrupt leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest

from chatsim.cli.main import main
from tests.cli.test_replicating import WORDS

Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).parents[2]

PROGRAM = """
import signal
from chatsim.cli.main import entry

# Whoever started the tests may ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
entry()
"""


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(WORDS.replace("LIMIT", "200ms"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return path


def swept(*words: str) -> int:
    return main(["sweep", "small.yaml", "--jobs", "1", "-n", "2", *words])


def test_it_prints_the_expected_numbers_of_each_point(capsys: Capture, tmp_path: Path) -> None:
    assert swept("--set", "users=2,4", "--set", "handler.rate_limit=30/min,60/min") == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split() == ["users", "handler.rate_limit", "metric", "mean", "low", "high", "n"]
    assert [line.split()[:3] for line in lines[1:3]] == [
        ["2", "30/min", "delivery_latency_p95_s"],
        ["2", "30/min", "lost"],
    ]
    assert len([line for line in lines[1:] if line.endswith("  2")]) == 8
    assert "more rows: --all prints them" in out
    assert err == ""
    assert len(list((tmp_path / "results" / "sweeps" / "small").iterdir())) == 8


def test_all_of_it_is_in_the_file(capsys: Capture, tmp_path: Path) -> None:
    words = ["--set", "users=2,4", "--keep", "kept"]
    assert swept(*words, "--out", "deep/t.csv", "--all") == 0
    out = capsys.readouterr().out
    assert "more rows" not in out
    table = pd.read_csv("deep/t.csv")
    assert len(table) == len(out.partition("\n\n")[0].splitlines()) - 1
    assert "needed" in table
    assert swept(*words, "--out", "deep/t.parquet") == 0
    pd.testing.assert_frame_equal(pd.read_parquet("deep/t.parquet"), table, check_dtype=False)
    assert not (tmp_path / "results").exists()


def test_json_is_one_document_of_the_metrics_that_are_wanted(capsys: Capture) -> None:
    assert swept("--set", "users=2", "--metric", "mean(ack_latency)", "--seed", "9", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["scenario"], document["wire"]) == ("small", "sim")
    assert [(row["users"], row["metric"], row["n"]) for row in document["rows"]] == [(2, "ack_latency_mean_s", 2)]


def test_json_names_the_wire_as_all_else_does(file: Path, capsys: Capture) -> None:
    file.write_text(WORDS.replace("LIMIT", "200ms").replace("lost == 0", "sent > 1"), encoding="utf-8")
    assert swept("--set", "users=2", "--metric", "sent", "--fidelity", "flow", "--json") == 0
    assert json.loads(capsys.readouterr().out)["wire"] == "flow"


def test_what_is_damaged_is_said_and_played_again(capsys: Capture) -> None:
    assert swept("--set", "users=2", "--keep", "kept") == 0
    first = capsys.readouterr().out
    broken = min(Path("kept").iterdir())
    broken.write_text("{", encoding="utf-8")
    assert swept("--set", "users=2", "--keep", "kept") == 0
    out, err = capsys.readouterr()
    assert out == first
    assert err == f"chatsim: kept: {broken.name} was damaged and played again\n"


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        ([], ["a sweep wants a path and its values"]),
        (["--set", "users="], ["users: the list is empty"]),
        (["--set", "usrs=2,4"], ["did you mean users?"]),
        (["--set", "users=-1,4", "--set", "handler.rate_limit=5"], ["(users=-1)", "5 has no unit"]),
        (["--set", "users=2,2"], ["are the same scenario"]),
        (["--set", "users=2", "--metric", "lsot"], ["did you mean lost?"]),
        (["--set", "users=2", "--out", "t.xlsx"], ["written as .csv or .parquet"]),
        (["--set", "users=2", "--keep", "small.yaml"], ["name another folder"]),
        (["--set", "users=2", "--on", "live"], ["virtual time"]),
        (["--set", "users=2", "--jobs", "0"], ["--jobs 0"]),
        (["--set", "users=2", "--dask", "nowhere"], ["write tcp://HOST:PORT"]),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(words: list[str], texts: list[str], capsys: Capture) -> None:
    assert swept(*words) == 3
    out, err = capsys.readouterr()
    assert out == ""
    for text in texts:
        assert text in err
    assert "Traceback" not in err
    assert not Path("results").exists()


def test_an_interrupt_keeps_what_is_done_and_the_same_command_goes_on(tmp_path: Path, capsys: Capture) -> None:
    words = ["sweep", "small.yaml", "--set", "users=2,4,6,8", "--set", "duration=20s,20min", "-n", "30"]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words, "--keep", "kept", "--jobs", "2"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{ROOT}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    kept = tmp_path / "kept"
    while not (kept.is_dir() and any(path.suffix == ".json" for path in kept.iterdir())):
        with suppress(subprocess.TimeoutExpired):
            assert process.wait(timeout=0.02) is None, "it ended too soon"
    # As a terminal does it: everybody in front hears it, those that play as well.
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "of 240 replications are kept in kept; the same command goes on there" in err
    assert err.splitlines()[-1] == "chatsim: interrupted"
    assert "Traceback" not in err
    done = {path.name: path.read_bytes() for path in kept.iterdir()}
    assert done
    assert all(name.endswith(".json") for name in done)
    assert swept("--set", "users=2", "--set", "duration=20s", "--keep", "kept") == 0
    assert all((kept / name).read_bytes() == content for name, content in done.items())
