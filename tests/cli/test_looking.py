"""`replay` and `timeline`: what is read of a run, what is written where, and with which exit code it ends."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from chatsim.cli.doors import REAL
from chatsim.cli.main import main
from chatsim.core.snapshot import Snapshot
from chatsim.journal.lives import of_life
from chatsim.journal.replay import MISFIT
from chatsim.journal.steps import Header, JournalWriter
from tests.cli.fakes import Fakes
from tests.timeline.talk import EPOCH, Talk, unheard

Capture = pytest.CaptureFixture[str]

CRASH = """\
name: small-crash
description: A few people, and a node that is killed and comes back.
seed: 4
duration: 20s
groups:
  - {name: people, users: 4, session_size: 2, messages: {arrivals: periodic, rate: 30/min}}
events:
  - {at: 10s, do: crash_node, down: 1s}
expect: [lost == 0]
"""


def write(path: Path, talk: Talk, *, clock_at: float = 0.0) -> Path:
    header = Header(config=talk.handler.config, epoch=EPOCH, seed=5, clock_at=clock_at)
    writer = JournalWriter(path, header)
    for step in talk.steps:
        writer.step(step.now, step.door, step.args, step.effects)
    writer.close()
    return path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run in which a message was given up."""
    folder = tmp_path / "run"
    folder.mkdir()
    write(folder / "journal.jsonl", unheard())
    event = {"do": "freeze", "at_s": 20.0, "users": 1}
    document = {"scenario": "unheard", "wire": "sim", "seed": 5, "verdict": "fail", "events": [event]}
    (folder / "run.json").write_text(json.dumps(document))
    return folder


def call(*words: object) -> int:
    return main([str(word) for word in words], Fakes().doors())


def test_a_run_that_replays_is_zero(run: Path, capsys: Capture) -> None:
    assert call("replay", run) == 0
    assert capsys.readouterr().out == f"{run}/journal.jsonl: {len(unheard().steps)} steps, all equal\n"
    assert call("replay", run / "journal.jsonl", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"] == "pass"
    assert document["journals"][0]["closed"] is True
    assert document["journals"][0]["difference"] is None


def test_arrivals_that_are_counted_alike_are_zero_and_otherwise_one(run: Path, capsys: Capture) -> None:
    assert call("replay", run, "--arrivals") == 0
    assert " arrivals, counted alike: 1 accepted, 1 acked, " in capsys.readouterr().out
    path = run / "journal.jsonl"
    path.write_text(path.read_text().replace('"no_ack"', '"left"'))
    assert call("replay", run, "--arrivals") == 1
    told = capsys.readouterr().out
    assert "counted otherwise" in told
    assert "  undelivered left: 1, now 0\n  undelivered no_ack: 0, now 1\n" in told
    assert call("replay", run, "--arrivals", "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"] == "fail"
    assert document["journals"][0]["again"]["undelivered no_ack"] == 1


def test_arrivals_of_several_lives_in_virtual_time_are_refused(tmp_path: Path, capsys: Capture) -> None:
    talk = unheard()
    talk.restart(200.0, Snapshot())
    write(tmp_path / "journal.jsonl", talk)
    assert call("replay", tmp_path, "--arrivals") == 3
    assert "name a run on real sockets" in capsys.readouterr().err


def test_the_first_difference_is_named_and_one(run: Path, capsys: Capture) -> None:
    path = run / "journal.jsonl"
    path.write_text(path.read_text().replace('"no_ack"', '"no_hack"'))
    assert call("replay", run) == 1
    first, expected, came = capsys.readouterr().out.splitlines()
    assert "at 121.000000 s, through the door wake, goes otherwise" in first
    assert expected.startswith("  expected  …")
    assert '"no_hack"' in expected
    assert '"no_ack"' in came
    assert call("replay", run, "--json") == 1
    document = json.loads(capsys.readouterr().out)
    found = document["journals"][0]["difference"]
    line = path.read_text().splitlines()[found["step"]]
    assert document["verdict"] == "fail"
    assert (found["at_s"], found["door"]) == (121.0, "wake")
    # As it stands there, but for its check.
    assert found["expected"] == line[: line.rindex(",")] + "]"


def test_a_line_that_is_gone_is_named_though_every_other_is_answered_alike(run: Path, capsys: Capture) -> None:
    path = run / "journal.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    del lines[-2]
    path.write_text("".join(lines))
    assert call("replay", run) == 1
    first, expected, came = capsys.readouterr().out.splitlines()
    step = len(lines) - 1
    assert f"step {step} (line {step + 1})" in first
    assert "through the door end, goes otherwise" in first
    assert expected.startswith('  expected  {"loop_lag_s"')
    assert came == f"  came      {MISFIT}"


def test_every_life_is_replayed_and_drawn_on_one_clock(tmp_path: Path, capsys: Capture) -> None:
    first = tmp_path / "journal.jsonl"
    write(first, unheard(), clock_at=1000.0)
    write(of_life(first, 2), unheard(), clock_at=1200.0)
    first.write_bytes(first.read_bytes().rpartition(b"{")[0][:-9])  # killed while it wrote
    assert call("replay", tmp_path) == 0
    one, two = capsys.readouterr().out.splitlines()
    assert one.endswith("all equal; it was not closed: its server was killed, or is still there")
    assert two.endswith("all equal")
    assert call("timeline", tmp_path, "--from", "200s") == 0
    svg = (tmp_path / "timeline.svg").read_text()
    assert "the server began again" in svg
    assert "321.000" in svg


@pytest.mark.parametrize("wire", ["sim", "virtual"])
def test_a_real_run_with_a_server_that_begins_again(wire: str, tmp_path: Path, capsys: Capture) -> None:
    scenario = tmp_path / "small.yaml"
    scenario.write_text(CRASH)
    assert main(["run", str(scenario), "--on", wire, "--out", str(tmp_path)], REAL) == 0
    (folder,) = (tmp_path / "small-crash").iterdir()
    assert call("replay", folder) == 0
    assert call("timeline", folder, "--from", "9900ms", "--to", "12s") == 0
    svg = (folder / "timeline.svg").read_text()
    assert ">crash_node<" in svg
    assert "the server began again" in svg
    ElementTree.fromstring(svg)


def test_both_pictures_are_written_and_named(run: Path, tmp_path: Path, capsys: Capture) -> None:
    assert call("timeline", run) == 0
    written = [run / "timeline.svg", run / "timeline.json"]
    assert capsys.readouterr().out.splitlines() == [f"written to {path}" for path in written]
    svg = written[0].read_text()
    assert "unheard on sim, seed 5: fail" in svg
    assert "freeze: 1 person" in svg
    assert json.loads(written[1].read_text())["otherData"]["title"] == "unheard on sim, seed 5: fail"
    out = tmp_path / "elsewhere" / "deep"
    assert call("timeline", run, "--out", out, "--user", "bob", "--session", "s", "--rows", 3) == 0
    assert sorted(path.name for path in out.iterdir()) == ["timeline.json", "timeline.svg"]
    assert "3 rows from" in (out / "timeline.svg").read_text()


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        (["--user", "bop"], "nobody is called bop here: say bob"),
        (["--session", "t"], "there is no session t here: say s"),
        (["--from", "20s", "--to", "10s"], "from 20 s to 10 s is no range: give the earlier moment first"),
        (["--from", "2h"], "nothing happens from 7200 s on: the last step is at"),
        (["--from", "2"], "--from: 2 has no unit: write 2s, 2ms or 2min"),
        (["--from", "1100ms", "--to", "1200ms"], "nothing happened to them in that range: choose an earlier --from"),
        (["--rows", "0"], "--rows"),
    ],
)
def test_wrong_words_are_three_and_write_nothing(run: Path, words: list[str], cure: str, capsys: Capture) -> None:
    assert call("timeline", run, *words) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert cure in err
    assert len(err.splitlines()) == 1
    assert not (run / "timeline.svg").exists()


@pytest.mark.parametrize("command", ["replay", "timeline"])
def test_no_journal_is_three_and_a_damaged_one_is_four(command: str, run: Path, capsys: Capture) -> None:
    path = run / "journal.jsonl"
    whole = path.read_bytes()
    assert call(command, run.parent) == 3
    assert "holds no journal.jsonl: name one of the runs below it" in capsys.readouterr().err
    assert call(command, run / "nothing") == 3
    assert capsys.readouterr().err.startswith(
        f"chatsim: there is no file or folder {run / 'nothing'}: name the folder of"
    )
    for damaged, sentence in (
        (whole[:-400], "the journal is cut short within this line: copy it again"),
        (b"", "not a journal"),
        (whole.replace(b'"wake"', b'"woke"', 1), "not a step of a journal"),
        (whole.replace(b'"wake"', b'"w\xf5ke"', 1), "not a step of a journal"),
        (whole.replace(b'"connect",["c1",', b'"connect",[', 1), "not a step of a journal"),
    ):
        path.write_bytes(damaged)
        capsys.readouterr()
        assert call(command, run) == 4
        out, err = capsys.readouterr()
        assert out == ""
        assert sentence in err


def test_a_document_that_cannot_be_read_is_four_and_where_nothing_can_be_written_is_three(
    run: Path, tmp_path: Path, capsys: Capture
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    assert call("timeline", run, "--out", taken) == 3
    assert "name another folder with --out" in capsys.readouterr().err
    (run / "run.json").write_text("{")
    assert call("timeline", run) == 4
    assert "copy it again, or name the journal alone" in capsys.readouterr().err
