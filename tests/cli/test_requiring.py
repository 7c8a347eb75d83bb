"""`requirements`: what is played, what is read, what is written, and with which code it ends."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from chatsim.cli.doors import Doors
from chatsim.cli.main import main
from chatsim.errors import UsageError
from chatsim.scenario.load import discover, load, load_all
from chatsim.scenario.requirements import REQUIREMENTS
from chatsim.verdict.result import Result

ROOT = Path(__file__).parents[2]
Capture = pytest.CaptureFixture[str]

ALL = """
name: all
duration: 10s
requirements: [TAGS]
tls: true
# What the deaf never ack is kept so long, and a live run waits for its end.
handler: {ping_interval: 5s, pong_timeout: 3s, retry_interval: 2s, token_warning: 1s, token_grace: 1s, retention: 45s}
groups:
  - name: people
    users: 4
    session_size: 2
    typing: true
    messages: {arrivals: periodic, rate: 30/min}
  - {name: deaf, users: 2, session_size: 2, acks: false, messages: {arrivals: periodic, rate: 30/min}}
  - {name: asleep, users: 1, token_ttl: 3s}
  - {name: gone, users: 1}
  - {name: nobody, users: 1, credentials: missing, reconnect: false}
events:
  - {at: 1.8s, do: freeze, group: asleep, for: 6s}
  - {at: 2s, do: vanish, group: gone}
  - {at: 4s, do: drop, group: people, count: 1}
  - {at: 8s, do: drain_node}
expect:
  - connections_peak >= 8
  - p50(delivery_latency) <= LIMIT
  - auth_refused == 1
  - token_expired >= 1
  - lost == 0
  - count(reconnect_time) >= 1
  - accepted >= 1
  - count(detection_time) >= 1
  - typing_events >= 1
  - presence_events >= 1
  - retries >= 1
  - no_pong_closed >= 1
  - count(drain_time) == 1
live: {time_scale: 0.1}
"""
TAGS = ", ".join(f'"{tag}"' for tag in REQUIREMENTS)


def write(folder: Path, *, limit: str = "100ms", tags: str = TAGS) -> Path:
    path = folder / "all.yaml"
    path.write_text(ALL.replace("TAGS", tags).replace("LIMIT", limit), encoding="utf-8")
    return path


def older(folder: Path) -> Path:
    """The only run that was kept there was kept a while ago."""
    [found] = folder.glob("results/runs/all/*")
    return found.rename(found.with_name("20260101T000000Z-sim-1"))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_what_is_shown_is_0_and_a_page(tmp_path: Path, capsys: Capture) -> None:
    """And kept runs are read again and say the same."""
    path = write(tmp_path)
    assert main(["requirements", f"{path}", "--on", "virtual,live", "--attempts", "3", "-o", "deep/page.md"]) == 0
    out = capsys.readouterr().out
    assert all(tag in out for tag in REQUIREMENTS)
    # TLS is shown where it is spoken alone.
    assert out.count("1 of 1 pass") == 2 * len(REQUIREMENTS) - 1
    page = (tmp_path / "deep" / "page.md").read_text(encoding="utf-8")
    assert "There is no gap." in page
    assert "| all | `auth_refused == 1` | 1 | 1 |" in page
    assert f"{tmp_path}" not in page
    assert main(["requirements", f"{path}", "--on", "virtual,live", "--from", "results/runs", "-o", "read.md"]) == 0
    assert page == (tmp_path / "read.md").read_text(encoding="utf-8")


def test_what_was_not_played_there_is_a_gap(tmp_path: Path, capsys: Capture) -> None:
    path = write(tmp_path)
    assert main(["requirements", f"{path}", "--on", "sim"]) == 1
    gaps = [line for line in capsys.readouterr().err.splitlines() if "gap" in line]
    assert gaps == ["chatsim: gap: 8.1 (TLS) is shown on live alone: play it there too"]
    # Never played there.
    assert main(["requirements", f"{path}", "--on", "sim,virtual", "--from", "results/runs"]) == 1
    assert "shown by no scenario on virtual (all: it was not played)" in capsys.readouterr().err


def test_a_run_of_another_version_shows_nothing(tmp_path: Path, capsys: Capture) -> None:
    path = write(tmp_path)
    assert main(["run", f"{path}"]) == 0
    write(tmp_path, limit="50ms")
    assert main(["requirements", f"{path}", "--on", "sim", "--from", "results/runs"]) == 1
    assert "of another version of it (expect differ): play it again" in capsys.readouterr().err


def test_the_evidence_stands_before_the_summary(tmp_path: Path, capsys: Capture) -> None:
    path = write(tmp_path)
    assert main(["requirements", f"{path}", "--on", "sim"]) == 1
    lines = capsys.readouterr().out.splitlines()
    place = lines.index("3.1: secure authentication")
    assert lines[place + 1].split() == ["all", "sim", "auth_refused", "==", "1", "1", "pass"]
    summary = lines[lines.index("") + 1 :]
    assert summary[0].split() == ["requirement", "what", "it", "is", "scenarios", "sim", "verdict"]
    assert len(summary) == 1 + len(REQUIREMENTS)


def test_overrides_of_live_say_nothing_of_another_wire(tmp_path: Path, capsys: Capture) -> None:
    path = write(tmp_path)
    assert main(["run", f"{path}"]) == 0
    path.write_text(path.read_text(encoding="utf-8").replace("0.1}", "0.2}"), encoding="utf-8")
    assert main(["requirements", f"{path}", "--on", "sim", "--from", "results/runs"]) == 1
    out, err = capsys.readouterr()
    assert "of another version" not in err
    assert out.count("1 of 1 pass") == len(REQUIREMENTS) - 1


SHOWN = len(REQUIREMENTS) - 1
"""TLS is not shown in simulation."""


@pytest.mark.parametrize("words", [["--seed", "9"], ["--replications", "2"]])
def test_an_older_run_that_fits_is_taken_before_a_newer_one_that_does_not(
    words: list[str], tmp_path: Path, capsys: Capture
) -> None:
    path = write(tmp_path)
    assert main(["run", f"{path}"]) == 0
    older(tmp_path)
    main(["run", f"{path}", *words])
    capsys.readouterr()
    assert main(["requirements", f"{path}", "--on", "sim", "--from", "results/runs"]) == 1
    out, err = capsys.readouterr()
    assert out.count("1 of 1 pass") == SHOWN
    assert err.count("gap") == 1
    if "--seed" in words:
        assert main(["requirements", f"{path}", "--on", "sim", "--from", "results/runs", "--seed", "9"]) == 1
        assert capsys.readouterr().out.count("1 of 1 pass") == SHOWN


def test_the_newest_of_those_that_fit_is_taken(tmp_path: Path, capsys: Capture) -> None:
    """It is so of runs of one second too, whose folders are numbered."""
    path = write(tmp_path)
    assert main(["run", f"{path}"]) == 0
    found = older(tmp_path)
    shutil.copytree(found, found.with_name(f"{found.name}-10"))
    shutil.copytree(found, found.with_name(f"{found.name}-9"))
    for name in (found.name, f"{found.name}-9"):
        (found.with_name(name) / "run.json").write_text("{", encoding="utf-8")
    assert main(["requirements", f"{path}", "--on", "sim", "--from", "results/runs"]) == 1
    assert capsys.readouterr().out.count("1 of 1 pass") == SHOWN


def test_many_runs_that_were_judged_together_are_no_run(tmp_path: Path, capsys: Capture) -> None:
    path = write(tmp_path)
    main(["run", f"{path}", "--replications", "2"])
    assert main(["requirements", f"{path}", "--on", "sim", "--from", "results/runs"]) == 1
    assert "(all: 2 runs of it were judged together, and no single one was kept: play it)" in capsys.readouterr().err


def test_a_run_on_somebody_elses_server_is_none_of_live(tmp_path: Path, capsys: Capture) -> None:
    path = write(tmp_path)
    assert main(["run", f"{path}"]) == 0
    found = older(tmp_path)
    theirs = found.rename(found.with_name("20260101T000000Z-ws-chat-live-1.example-1"))
    document = theirs / "run.json"
    told = json.loads(document.read_text(encoding="utf-8"))
    document.write_text(json.dumps(told | {"wire": "ws://chat-live-1.example"}), encoding="utf-8")
    assert main(["requirements", f"{path}", "--on", "live", "--from", "results/runs"]) == 1
    assert "shown by no scenario on live (all: it was not played)" in capsys.readouterr().err


def test_a_broken_promise_is_a_gap_and_1(tmp_path: Path, capsys: Capture) -> None:
    path = write(tmp_path, limit="0ms")
    assert main(["requirements", f"{path}", "--on", "sim", "--json"]) == 1
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["verdict"] == "fail"
    gap, tls = document["gaps"]
    assert gap.startswith("all does not hold on sim, fail: p50(delivery_latency) <= 0ms: observed ")
    assert tls.startswith("8.1 (TLS) is shown on live alone")
    assert f"chatsim: gap: {gap}" in err


def test_a_requirement_without_a_scenario_is_a_gap_and_1(tmp_path: Path, capsys: Capture) -> None:
    path = write(tmp_path, tags="retry")
    assert main(["requirements", f"{path}", "--on", "sim"]) == 1
    assert "gap: 8.1 (TLS) has no scenario" in capsys.readouterr().err


def test_a_run_that_is_damaged_is_4(tmp_path: Path, capsys: Capture) -> None:
    path = write(tmp_path)
    assert main(["run", f"{path}"]) == 0
    [document] = tmp_path.glob("results/runs/all/*/run.json")
    document.write_text("{", encoding="utf-8")
    assert main(["requirements", f"{path}", "--on", "sim", "--from", "results/runs"]) == 4
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--on", "sim,moon"], "there is no such wire"),
        (["--from", "nowhere"], "is no folder"),
        (["--from", "x" * 300], "is no folder"),
        (["-o", "all.yaml/x.md"], "cannot write to"),
        (["copy.yaml"], "two scenarios are called all: the matrix knows them by their names, so rename one"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(
    words: list[str], why: str, tmp_path: Path, capsys: Capture
) -> None:
    path = write(tmp_path)
    shutil.copy(path, tmp_path / "copy.yaml")
    assert main(["requirements", f"{path}", *words]) == 3
    out, err = capsys.readouterr()
    assert (out, why in err) == ("", True)
    assert not (tmp_path / "results").exists()


def refused(*_: object, **__: object) -> Result:
    raise UsageError("it is not played here")


@pytest.mark.parametrize(
    ("words", "places"),
    [
        ([], {"results/requirements.md"}),
        (["--on", "live,sim,virtual"], {"results/requirements.md"}),
        (["-o", "page.md"], {"page.md"}),
        # A part does not take the place of the whole.
        (["--on", "sim,virtual"], set()),
        (["all.yaml"], set()),
        (["--from", "."], set()),
    ],
)
def test_all_together_has_a_place_of_its_own(words: list[str], places: set[str], tmp_path: Path) -> None:
    path = write(tmp_path)
    doors = Doors(load=lambda paths, noticed=None: load_all([path]), run=refused)
    assert main(["requirements", *words], doors) == 1
    assert {f"{found.relative_to(tmp_path)}" for found in tmp_path.rglob("*.md")} == places


def test_the_page_that_is_kept_has_every_requirement_and_its_scenarios() -> None:
    page = (ROOT / "results" / "requirements.md").read_text(encoding="utf-8")
    headings = [line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")]
    assert headings == [f"{tag}: {known.title}" for tag, known in REQUIREMENTS.items()], "make requirements renews it"
    shipped = [load(path) for path in discover([ROOT / "scenarios"])]
    for tag, known in REQUIREMENTS.items():
        carrying = ", ".join(scenario.name for scenario in shipped if tag in scenario.requirements)
        assert f"| **{tag}** | {known.title} | {carrying} |" in page, "make requirements renews it"


def test_the_page_that_is_kept_shows_values_of_each_scenario_on_each_wire() -> None:
    page = (ROOT / "results" / "requirements.md").read_text(encoding="utf-8")
    assert "play it again" not in page
    shown: dict[str, list[list[str]]] = {}
    for line in page.splitlines():
        if " | `" in line:
            scenario, _, *values = (cell.strip() for cell in line.strip("|").split(" | "))
            shown.setdefault(scenario, []).append(values)
    shipped = [load(path) for path in discover([ROOT / "scenarios"])]
    assert shown.keys() == {scenario.name for scenario in shipped if scenario.requirements}
    # A live run may promise other numbers, so that not every line has one of every wire.
    holes = {name for name, rows in shown.items() if not all(any(values) for values in zip(*rows, strict=True))}
    assert not holes
