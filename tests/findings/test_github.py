"""What GitHub shows: never more than it keeps, and what is left out is counted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsim.findings.finding import VERDICTS, Finding, Findings, unreadable
from chatsim.findings.github import ANNOTATIONS_MAX, SUMMARY_BYTES_MAX, annotated, summary
from chatsim.scenario.load import Notice, Problem
from tests.findings.examples import finding


def test_a_failure_is_an_error_at_its_line() -> None:
    assert annotated(Findings([finding(), finding(verdict="pass")])) == [
        "::error file=scenarios/steady.yaml,line=17,title=steady (sim)::" + finding().sentence
    ]


def test_what_means_something_to_github_is_escaped() -> None:
    (line,) = annotated(
        Findings([finding(file="a,b:c%.yaml", scenario="x\ny", why="10%\n::error::no", verdict="error")])
    )
    assert len(line.splitlines()) == 1
    head, _, message = line.removeprefix("::error ").partition("::")
    assert head == "file=a%2Cb%3Ac%25.yaml,line=17,title=x%0Ay (sim)"
    assert "10%25 ::error::no" in message


def test_files_are_named_as_github_knows_them(tmp_path: Path) -> None:
    inside = finding(file=f"{tmp_path / 'scenarios' / 'a.yaml'}")
    assert "file=scenarios/a.yaml," in annotated(Findings([inside]), tmp_path)[0]


def test_a_fault_of_a_file_has_its_column() -> None:
    (line,) = annotated(Findings([unreadable(Problem("bad.yaml", 3, 5, "seed", "is no number"))]))
    assert line.startswith("::error file=bad.yaml,line=3,col=5,title=bad::")


def test_a_run_without_a_verdict_is_one_line_and_each_fault_of_a_file_its_own() -> None:
    spoilt = [finding(verdict="error", why="the machine stood still", line=line) for line in range(12)]
    faults = [unreadable(Problem("bad.yaml", line, 1, "seed", "is no number")) for line in (1, 2)]
    assert len(annotated(Findings(spoilt + faults))) == 3
    assert len(annotated(Findings([*spoilt, finding(verdict="error", why="another")]))) == 2


def test_a_run_that_was_skipped_as_a_whole_is_an_error_of_one_line_and_a_part_of_one_is_none() -> None:
    wholly = [finding(verdict="skipped", scenario="crash", why="not done there", line=line) for line in (3, 4)]
    partly = [finding(verdict="pass"), finding(verdict="skipped")]
    (line,) = annotated(Findings([*wholly, *partly]))
    assert line.startswith("::error file=scenarios/steady.yaml,line=3,title=crash (sim)::")
    assert "skipped: not done there" in line


@pytest.mark.parametrize(("bad", "lines", "more"), [(10, 10, None), (11, 10, 2), (500, 10, 491)])
def test_at_most_ten_and_the_last_says_how_many_more(bad: int, lines: int, more: int | None) -> None:
    told = annotated(Findings(finding(line=line) for line in range(bad)))
    assert len(told) == lines <= ANNOTATIONS_MAX
    assert (f"and {more} more" in told[-1]) == (more is not None)


@pytest.mark.parametrize(
    ("bad", "noticed", "errors", "more"), [(0, 2, 0, 0), (8, 2, 8, 0), (8, 3, 8, 2), (12, 1, 10, 4)]
)
def test_what_was_noticed_is_a_warning_after_what_was_found_and_ten_are_all(
    bad: int, noticed: int, errors: int, more: int
) -> None:
    notices = [Notice(f"/checkout/mine/{place}.yaml", 1, f"passed over: {place}.yaml") for place in range(noticed)]
    told = annotated(Findings(finding(line=line) for line in range(bad)), Path("/checkout"), notices)
    levels = [line.partition(" ")[0] for line in told]
    assert levels == ["::error"] * errors + ["::warning"] * (len(told) - errors)
    assert len(told) == min(bad + noticed, ANNOTATIONS_MAX)
    assert (f"and {more} more: all of them are in the log" in told[-1]) == (more > 0)
    if errors < 9:
        assert told[errors] == "::warning file=mine/0.yaml,line=1,title=chatsim::passed over: 0.yaml"


def test_what_has_gone_is_a_warning() -> None:
    gone = [finding(verdict="skipped", scenario=f"gone{place}", gone=True) for place in range(12)]
    told = annotated(Findings([*gone, finding()]))
    assert [line.partition(" ")[0] for line in told] == ["::error"] + ["::warning"] * 9


def test_the_summary_is_a_table_with_the_bad_ones_first() -> None:
    lines = summary(Findings([finding(verdict="pass"), finding(), finding(expectation="a | b")])).splitlines()
    assert lines[0] == "### chatsim: fail"
    assert lines[2] == "2 fail, 1 pass"
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines[6:]]
    assert [row[0].strip() for row in rows] == ["fail", "fail", "pass"]
    assert {len(row) for row in rows} == {8}
    assert "104 ms" in rows[0][4]


def test_replications_have_their_bounds_their_count_and_the_reason() -> None:
    doubt = {"verdict": "inconclusive", "low": 0.0584883, "high": 0.1202241, "observed": 0.0639577}
    row = summary(Findings([finding(**doubt, n=10, replications=10, why="it varies")])).splitlines()[-1]
    assert row.startswith("| inconclusive (it varies) | steady | sim |")
    assert "| 63.96 ms (58.49 ms .. 120.2 ms) | 100 ms | 10 replications |" in row


def test_a_summary_of_too_much_says_what_is_left_out() -> None:
    many = Findings([finding(line=line, verdict="pass") for line in range(20_000)] + [finding()])
    text = summary(many)
    assert len(text.encode()) <= SUMMARY_BYTES_MAX < 1024 * 1024
    left = re.search(r"(\d+) more rows are left out", text)
    assert left is not None
    assert int(left[1]) + text.count("\n| pass") + text.count("\n| fail") == 20_001
    assert text.count("\n| fail") == 1


def test_where_there_is_no_room_nothing_is_written() -> None:
    assert summary(Findings([finding()]), 100) == ""
    assert summary(Findings([finding()]), -1) == ""


TEXT = st.text(max_size=30)


@given(
    st.lists(
        st.builds(finding, scenario=TEXT, expectation=TEXT, file=TEXT, verdict=st.sampled_from(VERDICTS)), max_size=9
    ),
    st.integers(0, 3000),
)
def test_no_name_breaks_a_line_or_the_size(found: list[Finding], bytes_max: int) -> None:
    assert all(re.fullmatch(r"::error [^\r\n]*", line) for line in annotated(Findings(found)))
    assert len(summary(Findings(found), bytes_max).encode("utf-8", "replace")) <= bytes_max
