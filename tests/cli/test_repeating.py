"""`run` and `check` with `--replications`: one of three verdicts, and the exit code that goes with it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from chatsim.analysis.kept import read_result
from chatsim.cli.main import main
from chatsim.errors import UsageError
from tests.cli.test_replicating import WORDS

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(WORDS.replace("LIMIT", "200ms"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return path


@pytest.mark.parametrize("wire", ["sim", "virtual"])
def test_auto_ends_when_all_is_decided(wire: str, capsys: Capture) -> None:
    assert main(["run", "small.yaml", "--on", wire, "--replications", "auto", "--jobs", "1", "--json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (document["verdict"], document["replications"], len(document["seeds"])) == ("pass", 10, 10)
    assert (document["wire"], document["seed"], document["valid"]) == (wire, 3, True)
    first, second = document["expectations"]
    assert first["low"] < first["observed"] < first["high"] <= first["limit"] == 0.2
    assert (first["n"], first["unit"], first["would_do"]) == (10, "s", 0)
    assert (second["text"], second["observed"], second["verdict"]) == ("lost == 0", 0, "pass")
    assert "small" in err


@pytest.mark.parametrize(
    ("limit", "n", "code", "said"),
    [
        ("1ms", "4", 1, "fail"),
        # Two say little: it would take more, and how many is said.
        ("1ms", "2", 2, "would probably do)"),
        ("200ms", "10", 0, "pass"),
    ],
)
def test_the_code_is_that_of_the_verdict(limit: str, n: str, code: int, said: str, file: Path, capsys: Capture) -> None:
    file.write_text(WORDS.replace("LIMIT", limit), encoding="utf-8")
    assert main(["run", "small.yaml", "--replications", n, "--jobs", "1"]) == code
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["scenario", "wire", "expectation", "observed", "limit", "verdict"]
    assert lines[1].endswith(said)
    assert " .. " in lines[1]


def test_what_was_found_is_written(tmp_path: Path, capsys: Capture) -> None:
    assert main(["check", "small.yaml", "--replications", "3", "--jobs", "1", "--out", "runs", "--seed", "8"]) == 0
    (folder,) = (tmp_path / "runs" / "small").iterdir()
    assert f"written to {folder.relative_to(tmp_path)}" in capsys.readouterr().out
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["replications"] == 3
    table = pd.read_csv(folder / "replications.csv")
    assert table.seed.tolist()[0] == 8
    assert "delivery_latency_p95_s{group=people}" in table


def test_a_report_is_made_of_what_was_found(tmp_path: Path, capsys: Capture) -> None:
    assert main(["run", "small.yaml", "--replications", "auto", "--jobs", "1", "--out", "runs"]) == 0
    (folder,) = (tmp_path / "runs" / "small").iterdir()
    capsys.readouterr()
    assert main(["report", f"{folder}", "--pdf", "report.pdf"]) == 0
    assert capsys.readouterr().out.splitlines() == ["written to report.html", "written to report.pdf"]
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "10 runs from seed 3: 2 of 2 promises hold." in text
    assert "chatsim run small.json --replications auto --seed 3" in text
    # One that was written before scenarios were kept beside it is reported, too; what is about rows is refused.
    (folder / "scenario.json").unlink()
    assert main(["report", f"{folder}"]) == 0
    with pytest.raises(UsageError, match=r"is of 10 runs that were judged together, of which no rows were kept"):
        read_result(folder)
    (folder / "run.json").write_text('{"replications": 5}', encoding="utf-8")
    assert main(["report", f"{folder}"]) == 4


def test_check_judges_each_and_the_worst_counts(tmp_path: Path, capsys: Capture) -> None:
    bad = WORDS.replace("LIMIT", "1ms").replace("name: small", "name: slow")
    (tmp_path / "slow.yaml").write_text(bad, encoding="utf-8")
    assert main(["check", ".", "--replications", "5", "--jobs", "1", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert {run["scenario"]: run["verdict"] for run in document["runs"]} == {"small": "pass", "slow": "fail"}


def test_a_run_that_is_not_valid_makes_it_invalid(file: Path, capsys: Capture) -> None:
    vain = "events: [{at: 0s, do: drop, group: people}]\n"
    file.write_text(WORDS.replace("LIMIT", "1s").replace("groups:", f"{vain}groups:") + "", encoding="utf-8")
    assert main(["check", "small.yaml", "--replications", "2", "--jobs", "1"]) == 4
    assert "Replication 0 of small (seed 3) is not valid" in capsys.readouterr().out
    assert main(["run", "small.yaml", "--replications", "2", "--jobs", "1"]) == 4
    assert "is not valid" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--replications", "1"], "at least 2, or auto"),
        (["--replications", "some"], "at least 2, or auto"),
        (["--replications", "auto", "--on", "live"], "--on sim or --on virtual"),
        (["--replications", "5", "--jobs", "0"], "--jobs 0"),
        (["--replications", "5", "--out", "small.yaml"], "--out"),
    ],
)
@pytest.mark.parametrize("command", ["run", "check"])
def test_what_cannot_be_is_refused_in_one_sentence(command: str, words: list[str], text: str, capsys: Capture) -> None:
    assert main([command, "small.yaml", *words]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert text in err
    assert len(err.splitlines()) == 1


def test_a_report_for_machines_tells_it_with_its_bounds(tmp_path: Path) -> None:
    assert main(["check", "small.yaml", "--replications", "3", "--jobs", "1", "--json-file", "found.json"]) == 0
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))["findings"]
    assert [(each["verdict"], each["replications"], each["n"]) for each in found] == [("pass", 3, 3)] * 2
    assert found[0]["low"] < found[0]["observed"] < found[0]["high"]
    assert found[0]["again"] == "chatsim replicate small.yaml -n 3 --seed 3"


def test_no_bound_is_shown_where_the_number_cannot_be(file: Path, tmp_path: Path, capsys: Capture) -> None:
    rare = WORDS.replace("rate: 90/min", "rate: 0.5/min").replace("p95(delivery_latency) <= LIMIT", "sent <= 50")
    file.write_text(rare, encoding="utf-8")
    assert main(["run", "small.yaml", "--replications", "8", "--jobs", "1", "--json", "--json-file", "found.json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert 0 == document["expectations"][0]["low"] < document["expectations"][0]["observed"]
    assert min(number["low"] for number in document["numbers"] if isinstance(number["low"], float)) == 0
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))["findings"]
    assert found[0]["low"] == 0
    assert main(["replicate", "small.yaml", "-n", "8", "--jobs", "1", "--all"]) == 0
    assert " -" not in capsys.readouterr().out.replace(" - ", "")
