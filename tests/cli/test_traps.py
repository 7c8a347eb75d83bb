"""The installed command, in a process of its own: each exit code, and the traps in which other load tools let a broken
promise pass."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CHATSIM = Path(sys.executable).with_name("chatsim")
PATIENCE_S = 60.0

WORDS = """\
name: small
duration: DURATION
costs: 0
groups:
  - {name: people, users: 4, session_size: 2, messages: {arrivals: poisson, rate: 30/min},
     network: {latency: LATENCY}}
events: [EVENTS]
expect: [EXPECT]
"""


def write(
    folder: Path,
    expect: str,
    *,
    latency: str = "5ms",
    events: str = "",
    duration: str = "20s",
    name: str = "small.yaml",
) -> Path:
    path = folder / name
    words = WORDS.replace("EXPECT", expect).replace("LATENCY", latency).replace("EVENTS", events)
    path.write_text(words.replace("DURATION", duration), encoding="utf-8")
    return path


def chatsim(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What the command says, and its exit code."""
    done = subprocess.run(
        [CHATSIM, *words], capture_output=True, text=True, cwd=folder, timeout=PATIENCE_S, check=False
    )
    assert "Traceback" not in done.stderr
    return done


def test_all_passed_is_0(tmp_path: Path) -> None:
    write(tmp_path, "lost == 0")
    assert chatsim(tmp_path, "run", "small.yaml").returncode == 0


def test_an_expectation_that_failed_is_1(tmp_path: Path) -> None:
    write(tmp_path, "max(delivery_latency) <= 1ms")
    assert chatsim(tmp_path, "check", "small.yaml").returncode == 1


def test_what_two_replications_cannot_tell_is_2(tmp_path: Path) -> None:
    write(tmp_path, "mean(delivery_latency) <= 40ms", latency="{exponential: {mean: 20ms}}")
    done = chatsim(tmp_path, "replicate", "small.yaml", "-n", "2", "--jobs", "1")
    assert (done.returncode, "inconclusive" in done.stdout) == (2, True)


@pytest.mark.parametrize(
    "words",
    [["run", "bad.yaml"], ["check", "."], ["run", "none.yaml"], ["run", "bad.yaml", "--on", "moon"], ["nonsense"], []],
)
def test_an_invalid_scenario_and_wrong_usage_are_3(words: list[str], tmp_path: Path) -> None:
    write(tmp_path, "lost == many", name="bad.yaml")
    done = chatsim(tmp_path, *words)
    assert (done.returncode, done.stdout) == (3, "")


def test_a_fault_that_touched_nobody_is_4(tmp_path: Path) -> None:
    write(tmp_path, "lost == 0", events="{at: 0s, do: drop, group: people, count: 1}")
    done = chatsim(tmp_path, "run", "small.yaml")
    assert (done.returncode, "touched nobody" in done.stdout) == (4, True)


def test_interrupted_is_130(tmp_path: Path) -> None:
    write(tmp_path, "lost == 0", duration="30d")
    done = subprocess.Popen(
        [CHATSIM, "run", "small.yaml", "--junit", "out.xml"], stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    until = time.monotonic() + PATIENCE_S
    while not list(tmp_path.glob("results/runs/small/.*")):
        assert done.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)
    # Not SIGINT, which a process in the background may have been told to ignore.
    done.send_signal(signal.SIGTERM)
    _, err = done.communicate(timeout=PATIENCE_S)
    assert done.returncode == 130
    assert err.splitlines()[-1] == "chatsim: interrupted"
    assert "because the command was interrupted" in (tmp_path / "out.xml").read_text(encoding="utf-8")


# The traps.


def test_104_ms_never_pass_100_ms(tmp_path: Path) -> None:
    write(tmp_path, "max(delivery_latency) <= 100ms, min(delivery_latency) >= 103.9ms", latency="52ms")
    done = chatsim(tmp_path, "run", "small.yaml", "--junit", "out.xml")
    assert done.returncode == 1
    verdicts = {line.split()[2]: line.split()[-1] for line in done.stdout.splitlines() if line.startswith("small")}
    assert verdicts == {"max(delivery_latency)": "fail", "min(delivery_latency)": "pass"}
    assert "observed 104 ms, limit 100 ms" in (tmp_path / "out.xml").read_text(encoding="utf-8")


def test_an_unknown_metric_is_refused_before_anything_runs(tmp_path: Path) -> None:
    write(tmp_path, "p99(delivery_latncy) <= 100ms")
    done = chatsim(tmp_path, "check", "small.yaml")
    assert done.returncode == 3
    assert "did you mean delivery_latency?" in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("limit", ["<= 1h", ">= 0s"])
def test_a_metric_without_a_sample_fails_whatever_its_limit(limit: str, tmp_path: Path) -> None:
    write(tmp_path, f"p99(reconnect_time) {limit}")
    done = chatsim(tmp_path, "run", "small.yaml")
    assert (done.returncode, "no sample" in done.stdout) == (1, True)


def test_nothing_collected_is_not_green(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("on: push\n", encoding="utf-8")
    done = chatsim(tmp_path, "check", ".", "--junit", "out.xml")
    assert (done.returncode, done.stdout) == (3, "")
    assert 'errors="1"' in (tmp_path / "out.xml").read_text(encoding="utf-8")


def test_an_interrupted_session_is_counted_and_not_left_out(tmp_path: Path) -> None:
    # Whoever is gone for good never answers: her messages have no latency to show, and fail all the same.
    gone = "{at: 5s, do: vanish, count: 1}"
    write(tmp_path, "max(delivery_latency) <= 1h, undelivered == 0", events=gone)
    done = chatsim(tmp_path, "run", "small.yaml", "--csv", "out.csv")
    assert done.returncode == 1
    verdicts = {line.split()[2]: line.split() for line in done.stdout.splitlines() if line.startswith("small")}
    assert "inf" in verdicts["max(delivery_latency)"]
    assert {name: words[-1] for name, words in verdicts.items()} == {
        "max(delivery_latency)": "fail",
        "undelivered": "fail",
    }


def test_failed_handshakes_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path, "auth_refused == 0, count(ack_latency) >= 1")
    refused = "groups:\n  - {name: forgers, users: 3, credentials: forged, reconnect: false}\n"
    path.write_text(path.read_text(encoding="utf-8").replace("groups:\n", refused), encoding="utf-8")
    done = chatsim(tmp_path, "run", "small.yaml")
    assert done.returncode == 1
    told = {line.split()[2]: line.split()[-3:] for line in done.stdout.splitlines() if line.startswith("small")}
    assert told["auth_refused"] == ["3", "0", "fail"]
    assert told["count(ack_latency)"][-1] == "pass"


@pytest.mark.slow
def test_a_saturated_load_generator_invalidates_the_run(tmp_path: Path) -> None:
    # 300,000 messages a second are ten times what any one process could write: what it did not send in time says
    # nothing of the server.
    words = WORDS.replace("users: 4", "users: 60").replace("30/min", "5000/s").replace("DURATION", "50ms")
    words = words.replace("costs: 0\n", "handler: {rate_limit: 1000000/min, frame_limit: 1000000/min}\n")
    words = words.replace("LATENCY", "0s").replace("EVENTS", "").replace("EXPECT", "sent >= 1")
    (tmp_path / "small.yaml").write_text(words, encoding="utf-8")
    done = chatsim(tmp_path, "run", "small.yaml", "--on", "live", "--junit", "out.xml")
    assert done.returncode == 4
    assert "machine" in done.stdout + done.stderr
    report = (tmp_path / "out.xml").read_text(encoding="utf-8")
    assert 'errors="1"' in report
    assert "the crowd" in report
