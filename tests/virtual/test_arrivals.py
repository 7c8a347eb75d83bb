"""A run on real sockets, whose arrivals are played again in virtual time, comes to the same counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Append, Tell
from chatsim.core.frames import AckIn, Say, StatusIn
from chatsim.core.memory_log import MemoryLog
from chatsim.core.tokens import Claims
from chatsim.errors import UsageError
from chatsim.journal.lives import journals
from chatsim.journal.replay import handler_of
from chatsim.journal.steps import Header, JournalWriter, read
from chatsim.live.run import run_live
from chatsim.scenario.model import Scenario
from chatsim.verdict.metrics import counters
from chatsim.virtual.arrivals import LATE_S_MAX, play_again
from chatsim.virtual.run import run_virtual
from tests.sim.worlds import scenario as simulated

EPOCH = 1.7e9
ATTEMPTS = 3
"""A machine that stands still for longer than a timer may be late is no verdict about the server."""


def played(tmp_path: Path, *events: dict[str, Any], **words: Any) -> Path:
    """The folder of a real run of six people who say more than they may, the first that the machine did not hold up."""
    said = {
        "name": "arrivals",
        "duration": "20s",
        "handler": {
            "ping_interval": "4s",
            "pong_timeout": "2s",
            "retry_interval": "4s",
            "retries": 2,
            "rate_limit": "10/min",
            "presence_grace": "2s",
        },
        "groups": [
            {
                "name": "g",
                "users": 6,
                "session_size": 3,
                "presence": True,
                "typing": True,
                "messages": {"arrivals": "periodic", "rate": "1/s"},
            }
        ],
        "expect": ["lost == 0"],
        "live": {"time_scale": 0.1},
    }
    scenario = Scenario.of(said | {"events": list(events)} | words)
    attempt = 1
    while True:
        folder = tmp_path / f"{attempt}"
        folder.mkdir()
        outcome = run_live(scenario, seed=3, out_dir=folder)
        if (outcome.valid and outcome.stalls.longest_s < LATE_S_MAX) or attempt == ATTEMPTS:
            break
        attempt += 1
    assert counters(outcome.record)["accepted"] > 30
    return folder


def test_the_arrivals_of_a_real_run_come_to_the_same_counts(tmp_path: Path) -> None:
    folder = played(
        tmp_path,
        {"at": "3s", "do": "withhold_acks", "count": 2, "for": "40s"},
        {"at": "6s", "do": "drop", "count": 2},
        {"at": "8s", "do": "vanish", "count": 1, "for": "6s"},
        {"at": "9s", "do": "bad_frames", "count": 4, "rate": "2/s", "for": "2s"},
    )
    (path,) = journals(folder)
    again = play_again(path)
    assert again.differences == {}
    came = {"accepted", "acked", "delivered", "retries", "gave_up", "undelivered no_ack", "resumes", "presence_events"}
    came |= {"refused rate_limited", "refused bad_json", "closed 4001"}
    assert came <= again.then.keys(), "zeros are easily equal"
    # They are what the run itself has counted, and none of its own timers was played.
    record = sum(1 for step in read(path) if step.door in ("wake", "told", "pressure"))
    assert record > 0
    assert again.arrivals == sum(1 for _ in read(path)) - record


@pytest.mark.slow
@pytest.mark.parametrize("do", ["crash_node", "restart_node"])
def test_so_does_every_life_of_a_server(tmp_path: Path, do: str) -> None:
    folder = played(tmp_path, {"at": "5s", "do": do, "down": "1s"}, duration="40s")
    lives = [play_again(path) for path in journals(folder)]
    assert [again.differences for again in lives] == [{}, {}]
    assert all(again.now["accepted"] for again in lives)


def a_life(path: Path, *, faster_s: float = 0.0) -> Path:
    """Ann says something that Bob acks after so many retries as ten seconds have, or so much sooner."""
    header = Header(config=HandlerConfig(retry_interval_s=4.0), epoch=EPOCH, seed=3)
    handler, writer, log = handler_of(header), JournalWriter(path, header), MemoryLog()

    def do(now: float, door: str, *args: Any) -> None:
        while handler.wake_at() < now:
            at = handler.wake_at()
            perform(at, "wake", ())
        perform(now, door, args)

    def perform(now: float, door: str, args: tuple[Any, ...]) -> None:
        effects = getattr(handler, door)(now, *args)
        writer.step(now, door, args, effects)
        for effect in effects:
            if isinstance(effect, Append):
                perform(now, "appended", (log.append(effect.record),))
            elif isinstance(effect, Tell):
                perform(now, "told", (effect.session, effect.message))

    for name, user in (("c1", "ann"), ("c2", "bob")):
        do(0.5, "connect", name, Claims(user, EPOCH + 500.0, sessions=("s",)))
        do(0.5, "receive", name, StatusIn("join", "s"))
    do(1.0, "receive", "c1", Say("1", "s", Raw(b'"hi"')))
    do(11.0 - faster_s, "receive", "c2", AckIn("s", 1))
    do(12.0, "disconnect", "c2")
    writer.close()
    return path


def test_the_timers_are_played_and_not_read(tmp_path: Path) -> None:
    path = a_life(tmp_path / "journal.jsonl")
    assert play_again(path).differences == {}
    assert play_again(path).then["retries"] == 2
    # Without a line of its timers it comes to the same, so much later: what they are for is the driver's own.
    lines = path.read_bytes().splitlines(keepends=True)
    bare = tmp_path / "bare.jsonl"
    bare.write_bytes(b"".join(line for line in lines if b'"wake"' not in line))
    again = play_again(bare)
    assert again.now == play_again(path).then
    assert again.differences["retries"] == (0, 2)


def test_what_a_killed_server_did_not_come_to_write_is_not_counted(tmp_path: Path) -> None:
    """The last that it wrote is that Bob joins: that Ann was told of it went with the process."""
    lines = a_life(tmp_path / "journal.jsonl").read_bytes().splitlines(keepends=True)
    joins = next(place for place, line in enumerate(lines) if b'"receive",["c2"' in line)
    assert b'"told"' in lines[joins + 1]
    killed = tmp_path / "killed.jsonl"
    killed.write_bytes(b"".join(lines[: joins + 1]))
    again = play_again(killed)
    assert again.differences == {}
    assert again.arrivals == sum(b'"told"' not in line for line in lines[1:joins])
    killed.write_bytes(lines[0])
    assert play_again(killed).arrivals == 0


def test_what_comes_at_another_moment_is_counted_otherwise(tmp_path: Path) -> None:
    path = a_life(tmp_path / "journal.jsonl")
    moved = tmp_path / "moved.jsonl"
    head, *lines, foot = path.read_bytes().replace(b'[11.0,"receive"', b'[1.5,"receive"').splitlines(keepends=True)
    lines.sort(key=lambda line: float(line[1:].partition(b",")[0]))
    moved.write_bytes(b"".join((head, *lines, foot)))
    assert play_again(moved).differences == {"retries": (2, 0)}


def test_a_run_in_virtual_time_and_slow_readers_are_refused(tmp_path: Path) -> None:
    crash = {"at": "10s", "do": "crash_node", "down": "1s"}
    run_virtual(simulated(crash, duration="20s"), journal=tmp_path / "virtual.jsonl")
    with pytest.raises(UsageError, match="played in virtual time"):
        play_again(tmp_path / "virtual.jsonl")
    slow = tmp_path / "slow.jsonl"
    path = a_life(tmp_path / "journal.jsonl")
    slow.write_bytes(path.read_bytes().replace(b'[12.0,"disconnect",["c2"],', b'[12.0,"pressure",["c2",70000,3],'))
    with pytest.raises(UsageError, match="c2 read too slowly at 12 s"):
        play_again(slow)
    other = tmp_path / "other.jsonl"
    other.write_bytes(path.read_bytes().replace(b'"c1"', b'"ann"'))
    with pytest.raises(UsageError, match="is no name that a server"):
        play_again(other)
