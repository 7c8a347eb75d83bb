"""What `run` and `check` say of what they found: a line on stderr, and reports, all of which say the same and what
NumPy finds in the raw rows; nothing is ever absent from them, and no old one is left."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from socket import AF_UNIX, socket
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import pytest

from chatsim.cli.doors import REAL, Doors
from chatsim.cli.main import main
from chatsim.errors import HarnessError

Capture = pytest.CaptureFixture[str]

WORDS = """\
name: NAME
duration: 60s
warmup: 5s
groups:
  - name: phones
    users: 8
    session_size: 4
    messages: {arrivals: poisson, rate: 20/min}
    network: {latency: {exponential: {mean: 20ms}}}
  - name: desks
    users: 4
    session_size: 4
    messages: {arrivals: poisson, rate: 10/min}
events:
  - {at: 20s, do: drop, group: phones, count: 3}
expect:
EXPECT
"""

EXPECT = (
    "p99(delivery_latency) <= 1ms",
    "p95(delivery_latency, group=phones) <= 2s",
    "mean(ack_latency, group=desks) < 1s",
    "max(reconnect_time) <= 1min",
    "p50(stable_latency) > 0s",
    "count(delivery_latency) >= 100",
    "sent >= 10",
    "lost == 0",
)


def write(folder: Path, name: str = "small", expect: Sequence[str] = EXPECT, words: str = WORDS) -> Path:
    path = folder / f"{name}.yaml"
    promises = "\n".join(f"  - {text}" for text in expect)
    path.write_text(words.replace("NAME", name).replace("EXPECT", promises), encoding="utf-8")
    return path


class Written:
    """The four reports of a command."""

    def __init__(self, folder: Path) -> None:
        self.files = {kind: folder / "reports" / f"out.{kind}" for kind in ("junit", "json-file", "csv", "html")}
        self.flags = [word for kind, path in self.files.items() for word in (f"--{kind}", f"{path}")]

    def _text(self, kind: str) -> str:
        return self.files[kind].read_text(encoding="utf-8")

    @property
    def cases(self) -> list[ElementTree.Element]:
        return list(ElementTree.fromstring(self._text("junit").encode()).iter("testcase"))

    @property
    def properties(self) -> list[dict[str, str]]:
        return [{each.attrib["name"]: each.attrib["value"] for each in case.iter("property")} for case in self.cases]

    @property
    def document(self) -> dict[str, Any]:
        found = json.loads(self._text("json-file"))
        assert isinstance(found, dict)
        return found

    @property
    def rows(self) -> list[dict[str, str]]:
        with self.files["csv"].open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    @property
    def html(self) -> str:
        return self._text("html")

    @property
    def verdicts(self) -> list[str]:
        """One for each finding, on which all reports agree."""
        found = [finding["verdict"] for finding in self.document["findings"]]
        assert found == [row["verdict"] for row in self.rows] == [each["verdict"] for each in self.properties]
        assert sorted(found) == sorted(re.findall(r'<tr class="(\w+)">', self.html))
        return found

    @property
    def whys(self) -> list[str]:
        return [finding["why"] for finding in self.document["findings"]]


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def exact(values: npt.ArrayLike, share: float) -> float:
    return float(np.quantile(np.asarray(values, dtype=np.float64), share, method="inverted_cdf"))


def by_hand(folder: Path) -> list[float]:
    """What EXPECT observes, computed anew from the raw rows of a run."""
    warmup_s = 5.0
    sent = table(folder, "messages")
    receipts = table(folder, "receipts")
    accepted = {row["message_id"]: row for row in sent if row["message_id"]}
    late = {name: row for name, row in accepted.items() if float(row["intended_at_s"]) >= warmup_s}
    rows = [row for row in receipts if row["message_id"] in late]
    intended = np.array([float(late[row["message_id"]]["intended_at_s"]) for row in rows])
    received = np.array([float(row["received_at_s"] or "inf") for row in rows])
    group = np.array([late[row["message_id"]]["group"] for row in rows])
    names = np.array([row["message_id"] for row in rows])
    latency = received - intended
    stable = [latency[names == name].max() for name in np.unique(names)]
    acks = [float(row["acked_at_s"]) - float(row["intended_at_s"]) for row in late.values() if row["group"] == "desks"]
    outages = [float(row["joined_at_s"]) - float(row["lost_at_s"]) for row in table(folder, "outages")]
    return [
        exact(latency, 0.99),
        exact(latency[group == "phones"], 0.95),
        float(np.mean(acks)),
        max(outages),
        exact(stable, 0.5),
        float(latency.size),
        float(len(sent)),
        float(sum(row["outcome"] == "delivered" and not row["received_at_s"] for row in receipts)),
    ]


def test_every_report_says_what_numpy_finds_in_the_raw_rows(tmp_path: Path, capsys: Capture) -> None:
    written = Written(tmp_path)
    file = write(tmp_path)
    assert main(["run", f"{file}", "--out", f"{tmp_path / 'out'}", "--json", *written.flags]) == 1
    (folder,) = (tmp_path / "out" / "small").iterdir()
    expected = by_hand(folder)
    assert expected[5] > 100
    told = json.loads(capsys.readouterr().out)
    for values in (
        [judged["observed"] for judged in told["expectations"]],
        [finding["observed"] for finding in written.document["findings"]],
        [float(row["observed"]) for row in written.rows],
        [float(each["observed"]) for each in written.properties],
    ):
        np.testing.assert_allclose(values, expected, rtol=1e-12, atol=0)
    assert all(f'title="{each["observed"]}"' in written.html for each in written.properties)
    assert written.verdicts == ["fail", *["pass"] * 7]
    assert written.document["verdict"] == told["verdict"] == "fail"


def test_each_expectation_is_a_case_at_its_line(tmp_path: Path) -> None:
    written = Written(tmp_path)
    file = write(tmp_path)
    assert main(["check", f"{file}", "--out", f"{tmp_path / 'out'}", *written.flags]) == 1
    lines = file.read_text(encoding="utf-8").splitlines()
    assert [case.get("name") for case in written.cases] == list(EXPECT)
    for case in written.cases:
        assert case.get("file") == f"{file}"
        assert case.attrib["name"] in lines[int(case.attrib["line"]) - 1]
    failure = written.cases[0].find("failure")
    assert failure is not None
    assert f"again: chatsim run {file} --seed 1" in failure.attrib["message"]


def test_a_file_that_cannot_be_read_is_an_error_and_so_is_what_was_not_played_for_it(tmp_path: Path) -> None:
    written = Written(tmp_path)
    write(tmp_path, "good", ["lost == 0", "sent >= 1"])
    bad = write(tmp_path, "bad", ["p99(delivery_latncy) <= 100ms"])
    assert main(["check", f"{tmp_path}", "--out", f"{tmp_path / 'out'}", *written.flags]) == 3
    assert written.verdicts == ["error"] * 3
    first, *others = written.document["findings"]
    assert first["file"] == f"{bad}"
    assert "delivery_latency" in first["why"]
    assert [finding["scenario"] for finding in others] == ["good", "good"]
    assert all("was not played" in finding["why"] for finding in others)
    assert written.document["verdict"] == "invalid"


@pytest.mark.parametrize("words", [["check", "FOLDER"], ["run", "FOLDER"], ["check", "FOLDER/none.yaml"]])
def test_nothing_to_run_is_an_error_in_the_reports_too(words: list[str], tmp_path: Path, capsys: Capture) -> None:
    written = Written(tmp_path)
    (tmp_path / "empty").mkdir()
    found = [word.replace("FOLDER", f"{tmp_path / 'empty'}") for word in words]
    assert main([*found, *written.flags]) == 3
    assert written.verdicts == ["error"]
    assert written.whys[0]
    assert written.whys[0] in capsys.readouterr().err


def test_a_wrong_wire_leaves_no_old_report(tmp_path: Path) -> None:
    written = Written(tmp_path)
    file = write(tmp_path, expect=["lost == 0"])
    assert main(["run", f"{file}", "--out", f"{tmp_path / 'out'}", *written.flags]) == 0
    assert written.verdicts == ["pass"]
    assert main(["run", f"{file}", "--on", "moon", *written.flags]) == 3
    assert written.verdicts == ["error"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check", "FILE", "--seed", "soon"], "--seed"),
        (["check", "FILE", "--seed=-1"], "--seed"),
        (["run", "FILE", "--attempts", "0"], "--attempts"),
        (["run", "FILE", "--sead", "1"], "--sead"),
        (["run"], "FILE"),
        (["baseline", "compare", "FILE", "--repeat", "0"], "--repeat"),
        (["baseline", "compare"], "PATH"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("first", [True, False], ids=["reports first", "reports last"])
def test_a_command_line_that_cannot_be_read_leaves_no_old_report(
    words: list[str], said: str, first: bool, tmp_path: Path, capsys: Capture
) -> None:
    written = Written(tmp_path)
    file = write(tmp_path, expect=["lost == 0"])
    assert main(["run", f"{file}", "--out", f"{tmp_path / 'out'}", *written.flags]) == 0
    assert written.verdicts == ["pass"]
    capsys.readouterr()
    given = [word.replace("FILE", f"{file}") for word in words]
    names = 2 if words[0] == "baseline" else 1
    line = [*given[:names], *written.flags, *given[names:]] if first else [*given, *written.flags]
    assert main(line) == 3
    assert written.verdicts == ["error"]
    (told,) = capsys.readouterr().err.splitlines()
    assert f"chatsim: {written.whys[0]}" == told
    assert said in told


@pytest.mark.parametrize(
    "words",
    [
        # What follows an option is its value, whatever it looks like.
        ["check", "--seed", "--junit", "FILE"],
        ["check", "--sead", "--", "--junit", "FILE"],
        ["chek", "--junit", "FILE"],
        ["lint", "--junit", "FILE"],
        ["check", "FILE", "--junit"],
    ],
    ids=" ".join,
)
def test_nothing_is_taken_for_a_report_that_a_command_would_not(words: list[str], tmp_path: Path) -> None:
    file = write(tmp_path)
    before = file.read_bytes()
    assert main([word.replace("FILE", f"{file}") for word in words]) == 3
    assert file.read_bytes() == before


def test_reports_that_cannot_all_be_written_leave_no_old_one(tmp_path: Path, capsys: Capture) -> None:
    written = Written(tmp_path)
    file = write(tmp_path, expect=["lost == 0"])
    good = ["run", f"{file}", "--out", f"{tmp_path / 'out'}", *written.flags]
    same = f"{written.files['junit']}"
    for wrong, cure in (
        (["--csv", f"{tmp_path}"], "name another file with --csv"),
        (["--csv", same], "give each report a file of its own"),
    ):
        assert main(good) == 0
        capsys.readouterr()
        assert main([*good, *wrong]) == 3
        assert cure in capsys.readouterr().err
        assert [case.find("error") is not None for case in written.cases] == [True]
        assert written.document["verdict"] == "invalid"
        assert cure in written.whys[0]
        assert "invalid" in written.html


def broken(scenario: Any, **flags: Any) -> Any:
    """A run that fails on the way where the scenario says so in its name."""
    if scenario.name.startswith("broken"):
        raise HarnessError("the server never came up")
    if scenario.name.startswith("interrupted"):
        raise KeyboardInterrupt
    if scenario.name.startswith("bug"):
        raise ZeroDivisionError("by nothing")
    return REAL.run(scenario, **flags)


@pytest.mark.parametrize(
    ("name", "code", "why", "others"),
    [
        ("broken", 4, "the server never came up", "pass"),
        ("interrupted", 130, "because the command was interrupted", "error"),
        ("bug", 4, "ZeroDivisionError: by nothing", "error"),
    ],
)
def test_what_was_not_judged_is_an_error_whatever_kept_it(
    name: str, code: int, why: str, others: str, tmp_path: Path
) -> None:
    written = Written(tmp_path)
    for each in ("a", name, "z"):
        write(tmp_path, each, ["lost == 0", "sent >= 1"])
    doors = Doors(load=REAL.load, run=broken)
    assert main(["check", f"{tmp_path}", "--out", f"{tmp_path / 'out'}", *written.flags], doors) == code
    assert written.verdicts == ["pass", "pass", "error", "error", others, others]
    assert why in written.whys[2]


LINE = (
    r"FILE:17: p99\(delivery_latency\) <= 1ms: observed [0-9.]+ ms, limit 1 ms, n [0-9]+, seed 1, on sim; "
    r"again: chatsim run FILE --seed 1"
)


@pytest.mark.parametrize("more", [[], ["--json"]], ids=["table", "json"])
@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize("steps", ["true", None], ids=["in a step of GitHub", "elsewhere"])
def test_a_broken_promise_is_a_line_on_stderr_wherever_it_is_played(
    steps: str | None,
    command: str,
    more: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    if steps is not None:
        monkeypatch.setenv("GITHUB_ACTIONS", steps)
        monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    file = write(tmp_path)
    assert main([command, f"{file}", "--out", f"{tmp_path / 'out'}", *more]) == 1
    out, err = capsys.readouterr()
    form = LINE.replace("FILE", re.escape(f"{file}"))
    assert len([line for line in err.splitlines() if re.fullmatch(form, line)]) == 1
    assert "again:" not in out
    if more:
        assert json.loads(out)["verdict"] == "fail"


def test_what_passes_has_no_line(tmp_path: Path, capsys: Capture) -> None:
    file = write(tmp_path, expect=["lost == 0"])
    assert main(["check", f"{file}", "--out", f"{tmp_path / 'out'}"]) == 0
    assert "lost == 0" not in capsys.readouterr().err


def test_what_replications_decide_or_cannot_decide_is_a_line_too(tmp_path: Path, capsys: Capture) -> None:
    file = write(tmp_path, expect=["p99(delivery_latency) <= 1ms", "sent == 0"])
    words = ["check", f"{file}", "--replications", "2", "--jobs", "1", "--out", f"{tmp_path / 'out'}"]
    assert main(words) == 1
    (doubt, broken) = [line for line in capsys.readouterr().err.splitlines() if line.startswith(f"{file}:")]
    assert doubt.startswith(f"{file}:17: p99(delivery_latency) <= 1ms: inconclusive: observed ")
    assert broken.startswith(f"{file}:18: sent == 0: observed ")
    for told in (doubt, broken):
        assert " in the mean, between " in told
        assert f"; again: chatsim replicate {file} -n 2 --seed 1" in told


def test_a_run_that_proves_nothing_is_one_line_and_one_that_ends_the_command_is_said_once(
    tmp_path: Path, capsys: Capture
) -> None:
    file = write(tmp_path, "broken", ["lost == 0", "sent >= 1"])
    doors = Doors(load=REAL.load, run=broken)
    assert main(["check", f"{file}", "--out", f"{tmp_path / 'out'}"], doors) == 4
    lines = capsys.readouterr().err.splitlines()
    why = "the server never came up"
    assert [line for line in lines if why in line] == [
        f"{file}:17: lost == 0: error: {why}; again: chatsim run {file} --seed 1"
    ]
    assert main(["run", f"{file}", "--out", f"{tmp_path / 'out'}"], doors) == 4
    assert [line for line in capsys.readouterr().err.splitlines() if why in line] == [f"chatsim: {why}"]


def test_what_failed_before_an_interrupt_is_told(tmp_path: Path, capsys: Capture) -> None:
    file = write(tmp_path, "a", ["sent == 0"])
    write(tmp_path, "interrupted", ["lost == 0"])
    doors = Doors(load=REAL.load, run=broken)
    assert main(["check", f"{tmp_path}", "--out", f"{tmp_path / 'out'}"], doors) == 130
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == "chatsim: interrupted"
    assert lines[-2].startswith(f"{file}:17: sent == 0: observed ")


def test_twins_are_told_apart_in_every_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written = Written(tmp_path)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, "small", ["lost == 0"])
    assert main(["check", "a", "b", "--out", f"{tmp_path / 'out'}", *written.flags]) == 0
    files = ["a/small.yaml", "b/small.yaml"]
    assert [case.get("file") for case in written.cases] == files
    assert [case.get("classname") for case in written.cases] == [f"{file}.sim" for file in files]
    assert [row["file"] for row in written.rows] == files
    assert [finding["file"] for finding in written.document["findings"]] == files
    assert all(f"{file}:17" in written.html for file in files)


def test_a_run_that_is_not_valid_is_in_error_and_nothing_in_it_passes(tmp_path: Path, capsys: Capture) -> None:
    written = Written(tmp_path)
    words = WORDS.replace("at: 20s, do: drop", "at: 0s, do: drop").replace("users: 8", "users: 8\n    arrive_over: 50s")
    file = write(tmp_path, "idle", expect=["lost == 0", "sent == 0"], words=words.replace("count: 3", "share: 100%"))
    other = write(tmp_path, "other", expect=["lost == 0"])
    for command in ("run", "check"):
        line = [command, f"{file}", "--out", f"{tmp_path / 'out'}", *written.flags]
        assert main(line) == 4
        assert written.verdicts == ["error", "error"]
        assert "touched nobody" in written.whys[0]
        rows = [row for row in capsys.readouterr().out.splitlines() if row.startswith("idle ")]
        assert [row.split()[-1] for row in rows] == ["invalid"] * 3
        assert main([*line, "--json"]) == 4
        document = json.loads(capsys.readouterr().out)
        (told,) = document.get("runs", [document])
        assert {told["verdict"], *(judged["verdict"] for judged in told["expectations"])} == {"invalid"}
        assert [judged["observed"] > 0 for judged in told["expectations"]] == [False, True]
    # Among several it is named with what made it so, and not with all that it says nothing about.
    assert main(["check", f"{file}", f"{other}", "--out", f"{tmp_path / 'out'}"]) == 4
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("invalid: idle (sim): idle: drop at 0 s touched nobody")


def test_what_cannot_be_written_is_said_before_anything_runs(tmp_path: Path, capsys: Capture) -> None:
    file = write(tmp_path)
    assert main(["run", f"{file}", "--out", f"{tmp_path / 'out'}", "--csv", f"{tmp_path}"]) == 3
    err = capsys.readouterr().err
    assert "name another file with --csv" in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("flag", ["--junit", "--json-file", "--csv", "--html"])
def test_a_report_where_nobody_may_look_is_refused_with_the_flag(flag: str, tmp_path: Path, capsys: Capture) -> None:
    # As in a folder without permission, which does not bind whoever may do all: it cannot even be asked for.
    place = tmp_path / ("x" * 300)
    file = write(tmp_path)
    assert main(["check", f"{file}", "--out", f"{tmp_path / 'out'}", flag, f"{place}"]) == 3
    assert capsys.readouterr().err.splitlines() == [
        f"chatsim: cannot write {place} (File name too long): name another file with {flag}"
    ]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("again", ["same", "./same", "deep/../same"])
def test_no_report_overwrites_another(
    again: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    file = write(tmp_path)
    assert main(["check", f"{file}", "--junit", "same", "--csv", again]) == 3
    assert capsys.readouterr().err.splitlines() == [
        f"chatsim: --junit and --csv both name {Path(again)}: give each report a file of its own"
    ]
    assert not (tmp_path / "same").exists()


@pytest.mark.parametrize("flag", ["--junit", "--json-file", "--csv", "--html"])
@pytest.mark.parametrize(
    "line",
    [
        "check vic.yaml good.yaml FLAG vic.yaml",
        "run vic.yaml FLAG ./vic.yaml",
        "check . FLAG link.out",
        "check . FLAG twin.out",
        "check plain.txt FLAG plain.txt",
        # Nothing is read of it, but whoever forgets a name after the option has the next one taken for it.
        "check FLAG vic.yaml good.yaml",
        "check FLAG vic.yaml",
        "check good.yaml FLAG values.YML",
        # Nor does one that cannot be read, or that is refused for another reason.
        "check plain.txt --seed soon FLAG plain.txt",
        "check FLAG vic.yaml --seed soon good.yaml",
        "check empty plain.txt FLAG plain.txt",
        "check vic.yaml FLAG vic.yaml --html vic.yaml",
        "baseline compare good.yaml --against base.json FLAG base.json",
    ],
)
def test_no_report_overwrites_what_is_read(
    flag: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    vic, good = write(tmp_path, "vic", ["lost == 0"]), write(tmp_path, "good", ["lost == 0"])
    (tmp_path / "empty").mkdir()
    (tmp_path / "link.out").symlink_to(vic)
    (tmp_path / "twin.out").hardlink_to(good)
    (tmp_path / "plain.txt").write_bytes(vic.read_bytes())
    (tmp_path / "values.YML").write_text("a: 1\n")
    (tmp_path / "base.json").write_text("{}")
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert main(line.replace("FLAG", flag).split()) == 3
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    assert not (tmp_path / "results").exists()
    (told,) = capsys.readouterr().err.splitlines()
    if "soon" not in line:
        assert told.startswith(f"chatsim: {flag} names ")
        assert told.endswith(f": give {flag} a file of its own")


@pytest.mark.parametrize("flag", ["--junit", "--json-file", "--csv", "--html"])
def test_a_dash_is_no_report(flag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.chdir(tmp_path)
    file = write(tmp_path, expect=["lost == 0"])
    assert main(["check", f"{file}", flag, "-"]) == 3
    said = f"chatsim: {flag} names -, which stands for no file: give {flag} a file of its own"
    assert capsys.readouterr().err.splitlines() == [said]
    assert list(tmp_path.iterdir()) == [file]


def test_what_is_refused_so_leaves_no_old_report_elsewhere(tmp_path: Path, capsys: Capture) -> None:
    written = Written(tmp_path)
    file = write(tmp_path, expect=["lost == 0"])
    good = ["run", f"{file}", "--out", f"{tmp_path / 'out'}", *written.flags]
    assert main(good) == 0
    assert main([*good, "--csv", f"{file}"]) == 3
    assert written.document["verdict"] == "invalid"
    assert written.whys == [f"--csv names {file}, which this command reads: give --csv a file of its own"]


def test_a_killed_command_leaves_no_old_report(tmp_path: Path) -> None:
    written = Written(tmp_path)

    def seen(scenario: Any, **flags: Any) -> Any:
        assert written.verdicts == ["error"]
        assert "has not come to its end" in written.whys[0]
        return REAL.run(scenario, **flags)

    file = write(tmp_path, expect=["lost == 0"])
    doors = Doors(load=REAL.load, run=seen)
    assert main(["run", f"{file}", "--out", f"{tmp_path / 'out'}", *written.flags], doors) == 0
    assert written.verdicts == ["pass"]


@pytest.fixture(params=["a name", "a number"])
def pipe(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A pipe with a name, or one as a shell makes it for `>(...)`: its path, and where it is read without waiting."""
    if request.param == "a name":
        path = tmp_path / "pipe"
        os.mkfifo(path)
        ends = [os.open(path, os.O_RDONLY | os.O_NONBLOCK)]
    else:
        ends = list(os.pipe())
        os.set_blocking(ends[0], False)
        path = Path(f"/dev/fd/{ends[1]}")
    yield path, ends[0]
    for end in ends:
        os.close(end)


@pytest.mark.parametrize(("more", "code", "found"), [([], 0, "pass"), (["--seed", "soon"], 3, "error")])
def test_a_pipe_gets_one_report_and_nothing_before_it(
    more: list[str], code: int, found: str, pipe: tuple[Path, int], tmp_path: Path
) -> None:
    path, end = pipe
    file = write(tmp_path, expect=["lost == 0"])
    assert main(["run", f"{file}", "--out", f"{tmp_path / 'out'}", "--junit", f"{path}", *more]) == code
    (case,) = ElementTree.fromstring(os.read(end, 1 << 16)).iter("testcase")
    assert (case.find("error") is None) == (found == "pass")


def test_what_reports_cannot_be_written_to_is_known_before_anything_runs(tmp_path: Path, capsys: Capture) -> None:
    file = write(tmp_path)
    with socket(AF_UNIX) as listening:
        listening.bind(f"{tmp_path / 'socket'}")
        assert main(["run", f"{file}", "--out", f"{tmp_path / 'out'}", "--csv", f"{tmp_path / 'socket'}"]) == 3
    assert "name another file with --csv" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.fixture
def github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A step of GitHub Actions; the file of its summary."""
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", f"{summary}")
    monkeypatch.setenv("GITHUB_WORKSPACE", f"{tmp_path}")
    return summary


def test_github_is_told_at_the_line_and_in_the_summary(github: Path, tmp_path: Path, capsys: Capture) -> None:
    file = write(tmp_path)
    github.write_text("said before\n", encoding="utf-8")
    assert main(["run", f"{file}", "--out", f"{tmp_path / 'out'}", "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["verdict"] == "fail"
    (line,) = [line for line in err.splitlines() if line.startswith("::error ")]
    assert line.startswith("::error file=small.yaml,line=17,title=small (sim)::")
    text = github.read_text(encoding="utf-8")
    assert text.startswith("said before\n### chatsim: fail")
    assert len(text.splitlines()) == 1 + 6 + len(EXPECT)


def test_github_is_told_of_files_that_cannot_be_read(github: Path, tmp_path: Path, capsys: Capture) -> None:
    write(tmp_path, "bad", [f"p99(delivery_latncy) <= {n}ms" for n in range(1, 15)])
    assert main(["check", f"{tmp_path}", "--out", f"{tmp_path / 'out'}"]) == 3
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("::error ")]
    assert len(told) == 10
    assert "and 5 more" in told[-1]
    assert "### chatsim: invalid" in github.read_text(encoding="utf-8")


def test_a_summary_that_is_full_stays_below_what_github_takes(github: Path, tmp_path: Path) -> None:
    github.write_text("x" * (1024 * 1024 - 2000), encoding="utf-8")
    file = write(tmp_path, expect=["lost == 0"])
    assert main(["run", f"{file}", "--out", f"{tmp_path / 'out'}"]) == 0
    assert 1024 * 1024 - 2000 < github.stat().st_size < 1024 * 1024
    github.write_text("x" * (1024 * 1024), encoding="utf-8")
    assert main(["run", f"{file}", "--out", f"{tmp_path / 'out'}"]) == 0
    assert github.stat().st_size == 1024 * 1024


def test_a_summary_that_cannot_be_written_costs_no_verdict(
    github: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", f"{tmp_path}")
    file = write(tmp_path, expect=["lost == 0"])
    assert main(["run", f"{file}", "--out", f"{tmp_path / 'out'}"]) == 0
    assert "cannot be written" in capsys.readouterr().err
    assert not github.exists()
