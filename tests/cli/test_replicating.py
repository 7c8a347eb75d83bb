"""`replicate` and `compare`: what is printed, what is refused, and with which code it ends."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from chatsim.analysis.sequential import Precision
from chatsim.cli.main import main
from chatsim.cli.replicating import text
from chatsim.runner.replicate import compare

Capture = pytest.CaptureFixture[str]

WORDS = """
name: small
duration: 20s
seed: 3
groups:
  - name: people
    users: 4
    session_size: 2
    messages: {arrivals: poisson, rate: 90/min}
    network: {latency: {exponential: {mean: 10ms}}}
expect: [p95(delivery_latency) <= LIMIT, lost == 0]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(WORDS.replace("LIMIT", "200ms"), encoding="utf-8")
    return path


def test_replicate_prints_verdicts_and_intervals(file: Path, capsys: Capture) -> None:
    assert main(["replicate", f"{file}", "-n", "5", "--jobs", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["expectation", "mean", "low", "high", "limit", "verdict"]
    assert lines[1].startswith("p95(delivery_latency) <= 200ms")
    assert lines[1].endswith("pass")
    assert "number" in lines[4]
    assert any(line.startswith("delivery_latency_p95_s") and line.split()[-1] == "5" for line in lines)


def test_replicate_prints_the_numbers_that_are_expected_and_the_rest_when_asked(file: Path, capsys: Capture) -> None:
    words = ["replicate", f"{file}", "-n", "2", "--jobs", "1"]
    main([*words, "--metric", "mean(ack_latency)"])
    out = capsys.readouterr().out
    numbers = [line.split()[0] for line in out.partition("number")[2].splitlines()[1:] if line.endswith(" 2")]
    assert numbers == ["delivery_latency_p95_s", "lost", "ack_latency_mean_s"]
    assert "more numbers: --all prints them" in out
    main([*words, "--all"])
    out = capsys.readouterr().out
    table, _, short = out.partition("\n\nno interval of a quantile of too few samples in a run")
    numbers = [line.split()[0] for line in table.partition("number")[2].splitlines()[1:]]
    assert numbers[:2] == ["delivery_latency_p95_s", "lost"]
    assert {"delivery_latency_p95_s{group=people}", "sent"} <= set(numbers)
    assert "more numbers" not in out
    # Most are named, the rest is counted.
    assert re.search(r"delivery_latency_p99_s \(299 would do\).* and \d+ more\n$", short)


def test_the_code_is_that_of_the_verdict(file: Path, capsys: Capture) -> None:
    file.write_text(WORDS.replace("LIMIT", "1ms"), encoding="utf-8")
    assert main(["replicate", f"{file}", "-n", "10", "--jobs", "1"]) == 1
    capsys.readouterr()
    # Two say little: it would take more, and how many is said.
    assert main(["replicate", f"{file}", "-n", "2", "--jobs", "1"]) == 2
    assert "would probably do)" in capsys.readouterr().out


def test_json_is_one_document_and_csv_has_every_number(file: Path, tmp_path: Path, capsys: Capture) -> None:
    csv = tmp_path / "deep" / "numbers.csv"
    words = ["replicate", f"{file}", "-n", "3", "--jobs", "1", "--seed", "8", "--json", "--csv", f"{csv}"]
    assert main(words) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["scenario"], document["replications"], document["verdict"]) == ("small", 3, "pass")
    assert document["seeds"][0] == 8
    assert [row["expectation"] for row in document["expectations"]] == ["p95(delivery_latency) <= 200ms", "lost == 0"]
    table = pd.read_csv(csv)
    assert table.seed.tolist() == document["seeds"]
    assert "delivery_latency_p95_s" in table
    assert main([*words, "--parquet", f"{tmp_path / 'numbers.parquet'}"]) == 0
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "numbers.parquet"), table)


def test_until_goes_on_until_it_is_precise(file: Path, capsys: Capture) -> None:
    words = ["replicate", f"{file}", "--until", "20%", "--metric", "ack_latency_mean_s", "--jobs", "1", "--json"]
    assert main(words) == 0
    document = json.loads(capsys.readouterr().out)
    (row,) = [row for row in document["numbers"] if row["metric"] == "ack_latency_mean_s"]
    assert (row["high"] - row["low"]) / 2 <= 0.2 * row["mean"]


def test_a_precision_that_was_not_reached_is_told_beside_the_result(
    file: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatsim.analysis.sequential.Precision", partial(Precision, n_max=4))
    words = ["replicate", f"{file}", "--until", "0.01%", "--metric", "ack_latency_mean_s", "--jobs", "1"]
    assert main(words) == 0
    told = r"chatsim: the precision was not reached: ack_latency_mean_s \S+ % after 4 replications, where 0.01 % was"
    assert re.fullmatch(rf"{told} asked for\n", capsys.readouterr().err)
    assert main([*words, "--json"]) == 0
    out, err = capsys.readouterr()
    assert re.match(told, err)
    (missed,) = json.loads(out)["missed"]
    assert (missed["metric"], missed["n"], missed["asked_relative"]) == ("ack_latency_mean_s", 4, 0.0001)
    assert missed["asked_absolute"] is None
    assert missed["relative"] > 0.0001
    assert missed["why"] in err
    assert main(["replicate", f"{file}", "-n", "2", "--jobs", "1", "--json"]) in (0, 2)
    out, err = capsys.readouterr()
    assert (json.loads(out)["missed"], err) == ([], "")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-n", "1"], "at least 2, or auto"),
        (["-n", "many"], "at least 2, or auto"),
        (["--until", "narrow"], "--until narrow"),
        (["--until", "200%"], "--until 200%"),
        (["--until", "5%", "-n", "7"], "give one of them"),
        (["--jobs", "0"], "--jobs 0"),
        (["--csv", "x.xlsx"], "end in .csv"),
        (["--on", "live"], "virtual time"),
        (["--until", "5%", "--metric", "ack_latency_mean"], "did you mean ack_latency_mean_s?"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(words: list[str], text: str, file: Path, capsys: Capture) -> None:
    assert main(["replicate", f"{file}", "--jobs", "1", *words]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert text in err
    assert len(err.strip().splitlines()) == 1


def test_compare_tells_what_differs(file: Path, capsys: Capture) -> None:
    slower = "groups.people.network.latency={exponential: {mean: 20ms}}"
    assert main(["compare", f"{file}", f"{file}", "--set", slower, "-n", "4", "--jobs", "1"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["metric", "a", "b", "difference", "low", "high", "n"]
    assert "delivery_latency_mean_s" in out
    assert re.search(r"\n\d+ of \d+ numbers differ, \d+ would by luck alone\n$", out)


def test_the_same_twice_does_not_differ(file: Path, capsys: Capture) -> None:
    assert main(["compare", f"{file}", f"{file}", "-n", "2", "--jobs", "1"]) == 0
    assert "\n0 of " in capsys.readouterr().out
    assert main(["compare", f"{file}", f"{file}", "-n", "2", "--jobs", "1", "--json"]) == 0
    numbers = json.loads(capsys.readouterr().out)["numbers"]
    assert {row["difference"] for row in numbers} == {0.0}


def test_compare_writes_how_each_number_differs(file: Path, tmp_path: Path, capsys: Capture) -> None:
    csv = tmp_path / "deep" / "differences.csv"
    words = ["compare", f"{file}", f"{file}", "--set", "users=8", "-n", "3", "--jobs", "1", "--csv", f"{csv}"]
    assert main([*words, "--parquet", f"{tmp_path / 'd.parquet'}", "--json"]) == 0
    table = pd.read_csv(csv)
    assert table.metric.tolist() == [row["metric"] for row in json.loads(capsys.readouterr().out)["numbers"]]
    assert {"a", "b", "difference", "low", "high", "n", "variance_ratio", "needed"} < set(table)
    assert pd.read_parquet(tmp_path / "d.parquet").metric.tolist() == table.metric.tolist()
    assert main([*words[:-1], "differences.txt"]) == 3
    assert "let the name end in .csv" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("users", "write a path"),
        ("groups.peple.users=5", "did you mean people?"),
        ("handler.rate_limits=30/min", "did you mean rate_limit?"),
        ("users=[", "--set users"),
    ],
)
def test_a_change_that_leads_nowhere_is_refused(change: str, text: str, file: Path, capsys: Capture) -> None:
    assert main(["compare", f"{file}", f"{file}", "--set", change, "--jobs", "1"]) == 3
    assert text in capsys.readouterr().err


def test_replicate_changes_words(file: Path, capsys: Capture) -> None:
    words = ["replicate", f"{file}", "-n", "2", "--jobs", "1", "--json"]
    assert main([*words, "--set", "groups.people.users=8", "--set", "handler.rate_limit=1/min"]) in (0, 1, 2)
    numbers = {row["metric"]: row["mean"] for row in json.loads(capsys.readouterr().out)["numbers"]}
    assert numbers["connections_peak"] == 8
    assert numbers["rate_limited"] > 0
    assert main([*words, "--set", "groups.peple.users=8"]) == 3
    assert "did you mean people?" in capsys.readouterr().err


def test_a_quantile_of_too_few_messages_is_refused_with_how_many_would_do(file: Path, capsys: Capture) -> None:
    file.write_text(WORDS.replace("p95(delivery_latency) <= LIMIT", "p99(delivery_latency) <= 10s"), encoding="utf-8")
    assert main(["replicate", f"{file}", "-n", "10", "--jobs", "1"]) == 2
    out = capsys.readouterr().out
    assert "samples in a run, where 299 would do: make the runs longer)" in out
    (line,) = [line.split() for line in out.splitlines() if line.startswith("delivery_latency_p99_s")]
    assert line[2:] == ["-", "-", "10"]
    said = "no interval of a quantile of too few samples in a run, so make the runs longer: delivery_latency_p99_s (299"
    assert f"\n\n{said} would do)\n" in out
    assert main(["replicate", f"{file}", "-n", "10", "--jobs", "1", "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    expectations = document["expectations"]
    assert ["299 would do" in row["why"] for row in expectations] == [True, False]
    (row,) = [row for row in document["numbers"] if row["metric"] == "delivery_latency_p99_s"]
    assert (row["low"], row["high"], row["needed"]) == (None, None, 299)
    assert row["mean"] > 0


def test_what_has_no_difference_is_no_number_that_could_differ(file: Path, capsys: Capture) -> None:
    assert main(["compare", f"{file}", f"{file}", "-n", "2", "--jobs", "1"]) == 0
    told = capsys.readouterr().out.splitlines()[-1]
    both = compare(file, file, 2, jobs=1)
    assert told == f"{both.told()} alone"
    # There is but one group, whose numbers are those of all.
    rows = both.summary()
    assert f"0 of {(rows.low.notna() & ~rows.metric.str.contains('{', regex=False)).sum()} numbers differ" in told


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0.0000345812345, "0.0000345812"),
        (1234567.8, "1234568"),
        (0.070132345, "0.0701323"),
        (float("inf"), "inf"),
        (float("nan"), "-"),
        (-0.5, "-0.5"),
        (3, "3"),
        ("a", "a"),
    ],
)
def test_no_number_of_a_table_has_an_exponent(value: object, told: str) -> None:
    assert text(value) == told
