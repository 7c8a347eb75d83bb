"""The journals of a run: found in order, read as one, and refused where one is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import NOTHING
from chatsim.core.snapshot import Snapshot
from chatsim.errors import HarnessError, UsageError
from chatsim.journal.lives import journals, of_life, steps
from chatsim.journal.steps import Header, JournalWriter


def write(path: Path, *moments: float, clock_at: float = 0.0, closed: bool = True) -> None:
    header = Header(config=HandlerConfig(), epoch=1.7e9 + clock_at, seed=2, clock_at=clock_at, snapshot=Snapshot())
    writer = JournalWriter(path, header)
    for now in moments:
        writer.step(now, "wake", (), NOTHING)
    writer.close()
    if not closed:
        path.write_bytes(path.read_bytes().rpartition(b"{")[0])


def test_the_lives_of_a_run_come_in_their_order(tmp_path: Path) -> None:
    first = tmp_path / "journal.jsonl"
    for life in (1, 2, 10):
        write(of_life(first, life))
    for life in range(3, 10):
        write(of_life(first, life))
    further = [f"journal-{life}.jsonl" for life in range(2, 11)]
    assert [path.name for path in journals(tmp_path)] == ["journal.jsonl", *further]
    assert journals(of_life(first, 2)) == (of_life(first, 2),)


def test_a_life_that_is_missing_is_named(tmp_path: Path) -> None:
    for life in (1, 3):
        write(of_life(tmp_path / "journal.jsonl", life))
    with pytest.raises(HarnessError, match=r"no journal-2\.jsonl: copy the whole run again"):
        journals(tmp_path)


def test_no_run_is_said_with_a_cure(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name the folder of a run"):
        journals(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"holds no journal\.jsonl: name the folder of a run"):
        journals(tmp_path)
    inner = tmp_path / "steady" / "20261123T112600Z-sim-1"
    inner.mkdir(parents=True)
    write(inner / "journal.jsonl")
    for folder in (tmp_path, tmp_path / "steady"):
        with pytest.raises(UsageError, match=r"such as .*20261123T112600Z-sim-1"):
            journals(folder)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ('{"wire": "wss://chat.example/ws"}', r"somebody else's server, whose inside is not seen: `chatsim report`"),
        ('{"wire": "sim"}', r"holds no journal\.jsonl: name the folder of a run"),
        ('{"wire": 3}', r"holds no journal\.jsonl: name the folder of a run"),
        ("{", r"holds no journal\.jsonl: name the folder of a run"),
    ],
)
def test_a_run_on_somebody_elses_server_has_none(document: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(document, encoding="utf-8")
    with pytest.raises(UsageError, match=says):
        journals(tmp_path)


def test_several_lives_are_one_row_of_steps_on_the_first_clock(tmp_path: Path) -> None:
    first = tmp_path / "journal.jsonl"
    write(first, 1.0, 2.0, clock_at=100.0, closed=False)
    with first.open("ab") as file:
        file.write(b"[3.0,")  # the process was killed while it wrote
    write(of_life(first, 2), 0.5, clock_at=110.0)
    found = [(step.now, step.door) for step in steps(journals(tmp_path))]
    assert found == [(1.0, "wake"), (2.0, "wake"), (10.0, "begin"), (10.5, "wake")]


def test_a_last_life_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, 1.0, 2.0)
    footer = path.read_bytes().splitlines(keepends=True)[-1]
    path.write_bytes(path.read_bytes().removesuffix(footer)[:-12])
    with pytest.raises(HarnessError, match=r"journal\.jsonl:3: the journal is cut short within this line: copy"):
        list(steps((path,)))
