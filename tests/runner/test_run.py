"""A run is played, judged and written down, and never onto another one."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from chatsim.core.config import HandlerConfig
from chatsim.core.handler import ChatHandler
from chatsim.core.histogram import Histogram
from chatsim.errors import UnbalancedError, UsageError
from chatsim.journal.replay import replay
from chatsim.runner.run import RunResult, run
from chatsim.scenario.load import load
from chatsim.scenario.model import Scenario
from chatsim.telemetry.figures import Shell, families
from chatsim.verdict.invariants.catalogue import Violation

FILES = sorted((Path(__file__).parents[2] / "scenarios").rglob("*.yaml"))


def scenario(*events: dict[str, Any], expect: tuple[str, ...] = ("lost == 0",), **words: Any) -> Scenario:
    group = {"name": "g", "users": 4, "session_size": 2, "messages": {"arrivals": "periodic", "rate": "12/min"}}
    head: dict[str, Any] = {"name": "small", "duration": "30s", "groups": [group], "expect": list(expect)}
    return Scenario.of(head | {"events": list(events)} | words)


def rows(folder: Path | None, name: str) -> list[dict[str, str]]:
    assert folder is not None
    with (folder / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_run_writes_what_happened(tmp_path: Path) -> None:
    result = run(scenario({"at": "10s", "do": "drop", "count": 1}), out=tmp_path)
    folder = result.path
    assert folder is not None
    assert folder.parent == tmp_path / "small"
    assert folder.name.endswith("-sim-1")
    assert {"run.json", "journal.jsonl", "metrics.prom", "messages.csv", "receipts.csv", "outages.csv"} <= {
        path.name for path in folder.iterdir()
    }
    document = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert document["trace_hash"] == result.trace_hash
    assert document["verdict"] == "pass"
    ((lost,), (event,)) = rows(folder, "outages"), document["events"]
    assert event == {"do": "drop", "at_s": 10.0, "lasts_s": 0.0, "users": 1, "whom": [lost["user"]], "vain": False}
    assert (document["duration_s"], document["warmup_s"]) == (30.0, 0.0)
    assert replay(folder / "journal.jsonl") is None


def test_a_play_beside_a_loop_that_is_interrupted_leaves_nothing_running(tmp_path: Path) -> None:
    """Where a loop runs it is played in a thread, and `progress` is heard there."""
    heard: list[str] = []

    def stop(share: float) -> None:
        heard.append(threading.current_thread().name)
        raise KeyboardInterrupt

    async def scene() -> None:
        run(scenario(), on="virtual", out=tmp_path, progress=stop)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(scene())
    assert heard == ["chatsim-beside"]
    assert "chatsim-beside" not in [thread.name for thread in threading.enumerate()]
    assert not list((tmp_path / "small").iterdir())


def test_the_scenario_that_it_writes_is_the_one_that_was_played(tmp_path: Path) -> None:
    first = run(scenario({"at": "10s", "do": "drop", "count": 1}, live={"time_scale": 0.5}), seed=7, out=tmp_path)
    assert first.path is not None
    again = run(load(first.path / "scenario.json"), out=tmp_path)
    assert (again.seed, again.trace_hash) == (7, first.trace_hash)


def test_a_message_whose_sender_never_heard_of_it_has_its_name_in_the_table(tmp_path: Path) -> None:
    result = run(scenario({"at": "10s", "do": "vanish", "count": 1}, expect=("sent >= 0",)), out=tmp_path)
    named = {(row["user"], row["id"]): row["message_id"] for row in rows(result.path, "messages")}
    assert {key: name for key, name in named.items() if name} == result.record.accepted


@pytest.mark.parametrize("wire", ["sim", "virtual"])
def test_what_is_done_to_the_node_touches_who_is_connected_and_to_its_log_nobody(wire: str, tmp_path: Path) -> None:
    events = {"at": "10s", "do": "log_outage", "for": "1s"}, {"at": "20s", "do": "crash_node", "down": "1s"}
    document = run(scenario(*events), on=wire, out=tmp_path).to_dict()
    assert document["why_invalid"] == ""
    assert [(event["do"], event["users"], len(event["whom"])) for event in document["events"]] == [
        ("log_outage", 0, 0),
        ("crash_node", 4, 4),
    ]
    assert all(name.startswith("g-") for name in document["events"][1]["whom"])


@pytest.mark.parametrize("wire", ["sim", "live"])
def test_both_wires_write_the_same_metrics(wire: str, tmp_path: Path) -> None:
    result = run(scenario(live={"time_scale": 0.1}), on=wire, out=tmp_path)
    assert result.path is not None
    text = (result.path / "metrics.prom").read_text(encoding="utf-8")
    found = {line.split(" ")[2] for line in text.splitlines() if line.startswith("# TYPE")}
    names = families(ChatHandler(HandlerConfig(), epoch=0.0, seed=1), Shell(loop_lag=Histogram()))
    assert found == {family.name for family in names}
    assert f"chatsim_messages_accepted_total {float(result.counters['accepted'])}" in text.splitlines()
    assert f"chatsim_delivery_seconds_count {float(result.counters['delivered'])}" in text.splitlines()


def test_equal_seeds_write_equal_metrics(tmp_path: Path) -> None:
    first, second = (run(scenario(), out=tmp_path).path for _ in range(2))
    assert first is not None
    assert second is not None
    assert (first / "metrics.prom").read_bytes() == (second / "metrics.prom").read_bytes()


def test_its_tables_hold_a_row_for_each_thing(tmp_path: Path) -> None:
    result = run(scenario({"at": "10s", "do": "drop", "count": 1}), out=tmp_path)
    messages, receipts, outages = (rows(result.path, name) for name in ("messages", "receipts", "outages"))
    assert len(messages) == result.counters["sent"] == 24
    assert len(receipts) == result.counters["delivered"] == 24
    assert {row["outcome"] for row in receipts} == {"delivered"}
    assert all(float(row["received_at_s"]) > 0.0 for row in receipts)
    assert [row["lost_at_s"] for row in outages] == ["10.0"]


def test_the_document_has_what_others_read(tmp_path: Path) -> None:
    result = run(scenario(expect=("lost == 0", "p99(delivery_latency) <= 100ms")), out=tmp_path)
    document = result.to_dict()
    assert {"scenario", "wire", "seed", "verdict", "expectations", "metrics", "counters", "trace_hash", "valid"} <= set(
        document
    )
    assert (document["scenario"], document["wire"], document["seed"], document["valid"]) == ("small", "sim", 1, True)
    assert [set(row) >= {"text", "observed", "limit", "verdict", "n"} for row in document["expectations"]] == [True] * 2
    assert document["metrics"]["delivery_latency"]["count"] == 24
    assert document["health"] == {}


def test_a_live_run_says_how_punctual_its_crowd_was(tmp_path: Path) -> None:
    result = run(scenario(live={"time_scale": 0.1}), on="live", out=tmp_path)
    assert result.path is not None
    health = json.loads((result.path / "run.json").read_text(encoding="utf-8"))["health"]
    assert health == result.health
    assert {"send_late_p99_s", "send_late_max_s", "crowd_loop_lag_p99_s", "settled", "journal_steps"} <= set(health)
    assert 0.0 <= health["send_late_p99_s"] <= health["send_late_max_s"]


def server_of(journal: str) -> int:
    """The process that writes this journal."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if "serve" in words and any(journal in word for word in words):
                return int(folder.name)
    raise AssertionError("no server runs")


def test_a_limit_that_a_standing_machine_broke_is_no_verdict(tmp_path: Path) -> None:
    """The server's process is stopped in mid-run, as a host does with its guests."""
    stopped: list[int] = []

    def stop(share: float) -> None:
        if share > 0.3 and not stopped:
            stopped.append(server_of(str(tmp_path)))
            os.kill(stopped[0], signal.SIGSTOP)
            threading.Timer(0.5, os.kill, (stopped[0], signal.SIGCONT)).start()

    expect = ("max(delivery_latency) <= 150ms", "lost == 0")
    played = scenario(expect=expect, live={"time_scale": 0.2})
    result = run(played, on="live", out=tmp_path, progress=stop)
    assert (result.verdict, result.valid, result.busy) == ("invalid", False, True)
    assert "would hold" in result.why_invalid
    assert expect[0] in result.why_invalid
    assert 0.4 <= result.health["stalled_max_s"] <= result.health["stalled_s"]
    assert [judged.verdict for judged in result.expectations] == ["invalid", "invalid"]
    assert result.expectations[0].observed > 0.15


def test_a_limit_that_the_server_broke_is_a_verdict_whatever_the_machine_did(tmp_path: Path) -> None:
    group = {"name": "g", "users": 4, "session_size": 2, "network": {"latency": {"constant": "20ms"}}}
    group["messages"] = {"arrivals": "periodic", "rate": "12/min"}
    slow = scenario(expect=("max(delivery_latency) <= 5ms",), groups=[group], live={"time_scale": 0.1})
    result = run(slow, on="live", out=tmp_path)
    assert (result.verdict, result.busy) == ("fail", False)


def test_the_same_run_twice_is_equal_and_overwrites_nothing(tmp_path: Path) -> None:
    def once() -> RunResult:
        return run(scenario(), out=tmp_path)

    first, second = once(), once()
    assert first.path is not None
    assert second.path is not None
    assert first.path != second.path
    for name in ("run.json", "journal.jsonl", "messages.csv", "receipts.csv", "outages.csv"):
        assert (first.path / name).read_bytes() == (second.path / name).read_bytes()


def test_the_seed_may_be_given(tmp_path: Path) -> None:
    one, other = run(scenario(), out=tmp_path), run(scenario(), seed=9, out=tmp_path)
    assert (one.seed, other.seed) == (1, 9)
    assert one.trace_hash != other.trace_hash
    assert other.path is not None
    assert other.path.name.endswith("-sim-9")


def test_one_broken_promise_fails_the_run(tmp_path: Path) -> None:
    result = run(scenario(expect=("lost == 0", "sent == 1")), out=tmp_path)
    assert result.verdict == "fail"
    assert [row.verdict for row in result.expectations] == ["pass", "fail"]
    assert result.valid
    assert result.path is not None, "a failed run is kept all the more"


def test_a_fault_that_touched_nobody_is_the_harness_fault(tmp_path: Path) -> None:
    empty = {"name": "late", "users": 1, "credentials": "forged"}
    words = {"name": "small", "duration": "30s", "expect": ["sent == 0"], "groups": [empty]}
    result = run(Scenario.of(words | {"events": [{"at": "10s", "do": "drop"}]}), out=tmp_path)
    assert (result.verdict, result.valid) == ("invalid", False)
    assert "drop at 10 s touched nobody" in result.why_invalid
    assert result.path is not None
    document = json.loads((result.path / "run.json").read_text(encoding="utf-8"))
    assert document["valid"] is False
    # What was observed is told, and no verdict on it.
    assert [(row["observed"], row["limit"], row["verdict"]) for row in document["expectations"]] == [(0, 0, "invalid")]


NOTHING = ("lost == 0", "duplicates == 0", "errors == 0")


def forgers(*expect: str) -> Scenario:
    """Nobody of them gets in."""
    group = {"name": "g", "users": 3, "credentials": "forged", "reconnect": False}
    return scenario(expect=expect, groups=[group], duration="10s", live={"time_scale": 0.1})


@pytest.mark.parametrize("wire", ["sim", "virtual", "live"])
@pytest.mark.parametrize(
    ("expect", "verdict"),
    [
        (NOTHING, "invalid"),
        ((*NOTHING, "auth_refused == 3"), "pass"),
        # A promise that is broken stays so.
        ((*NOTHING, "auth_refused == 0"), "fail"),
    ],
)
def test_where_nobody_got_in_what_holds_of_nothing_proves_nothing(
    wire: str, expect: tuple[str, ...], verdict: str, tmp_path: Path
) -> None:
    result = run(forgers(*expect), on=wire, out=tmp_path)
    assert result.counters["connections_peak"] == 0
    assert (result.verdict, result.valid) == (verdict, verdict != "invalid")
    assert ("nobody got in" in result.why_invalid) == (verdict == "invalid")


def test_a_run_whose_sums_are_wrong_keeps_its_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(record: object) -> None:
        raise UnbalancedError("the sums are wrong: please send the journal")

    monkeypatch.setattr("chatsim.runner.run.check_conservation", broken)
    result = run(scenario(), out=tmp_path)
    assert (result.verdict, result.why_invalid) == ("invalid", "the sums are wrong: please send the journal")
    assert result.path is not None
    assert (result.path / "journal.jsonl").is_file()
    assert json.loads((result.path / "run.json").read_text(encoding="utf-8"))["why_invalid"] == result.why_invalid


@pytest.mark.parametrize("wire", ["sim", "virtual", "live"])
def test_a_run_of_which_no_rows_can_be_made_keeps_its_journal(
    wire: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise UnbalancedError("the sums are wrong")

    monkeypatch.setattr("chatsim.verdict.collect.check_conservation", broken)
    with pytest.raises(UnbalancedError, match="the sums are wrong"):
        run(scenario(live={"time_scale": 0.1}), on=wire, out=tmp_path)
    (folder,) = (tmp_path / "small").iterdir()
    assert not folder.name.startswith(".")
    assert replay(folder / "journal.jsonl") is None
    document = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert (document["verdict"], document["why_invalid"]) == ("invalid", "the sums are wrong")


def test_what_cannot_be_played_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="over 1000000 frames"):
        run(scenario({"at": "10s", "do": "flood", "rate": "1000000/s", "for": "10s"}), on="live", out=tmp_path)
    assert list((tmp_path / "small").iterdir()) == []


def test_the_same_seed_gives_the_same_bytes_in_any_process(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "chatsim", "run", str(FILES[0]), "--json", "--out", str(tmp_path)]
    told = [
        subprocess.run(words, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True, timeout=60)
        for seed in ("0", "4711")
    ]
    assert told[0].stdout == told[1].stdout
    assert len(json.loads(told[0].stdout)["trace_hash"]) == 32


def test_progress_is_told(tmp_path: Path) -> None:
    heard: list[float] = []
    run(scenario(), out=tmp_path, progress=heard.append)
    assert heard[-1] == 1.0


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_shipped_scenario_passes_in_simulation(path: Path, tmp_path: Path) -> None:
    result = run(load(path), out=tmp_path)
    assert [row.text for row in result.expectations if row.verdict != "pass"] == []
    assert result.verdict == "pass"


@pytest.mark.parametrize("idle", [False, True])
def test_a_broken_invariant_fails_a_run_which_is_judged_as_ever(
    idle: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Violation("seq", 3.0, "s has 4 after 2.")
    monkeypatch.setattr("chatsim.verdict.invariants.watch.Watch.finish", lambda *_, **__: [broken])
    events = [{"at": "0s", "do": "drop", "group": "g", "count": 1}] if idle else []
    result = run(scenario(*events), out=tmp_path)
    assert (result.verdict, result.violations) == ("fail", [broken])
    # What proves nothing about its promises shows all the same that this one is broken.
    assert (result.valid, "touched nobody" in result.why_invalid) == (not idle, idle)
    assert {judged.verdict for judged in result.expectations} == {"invalid" if idle else "pass"}
    assert result.path is not None
    document = json.loads((result.path / "run.json").read_text(encoding="utf-8"))
    assert document["violations"] == [
        {"invariant": "seq", "sentence": broken.sentence, "at_s": 3.0, "detail": "s has 4 after 2."}
    ]
