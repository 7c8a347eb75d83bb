"""`capacity`: what is printed and written, what is refused, and that an interrupt leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from chatsim.cli.main import main
from tests.cli.test_sweeping import PROGRAM

Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).parents[2]

WORDS = """
name: pairs
description: People in twos on a node that is slow.
duration: 6s
warmup: 2s
costs: {frame: 20ms, frame_status: 0s, verify: 0s, tls_handshake: 0s, recipient: 0s, write: 0s, append: 0s, ping: 0s}
groups:
  - name: people
    users: 6
    session_size: 2
    messages: {arrivals: periodic, rate: 2/s}
    network: {latency: {constant: 5ms}}
expect: [p99(delivery_latency) <= 2s]
"""


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "pairs.yaml"
    path.write_text(WORDS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return path


def asked(*words: str) -> int:
    return main(["capacity", "pairs.yaml", "--jobs", "1", *words])


def test_the_answer_comes_first_and_the_report_is_written(capsys: Capture, tmp_path: Path) -> None:
    assert asked("--users", "1000", "--price", "0.5", "--most", "30", "-o", "out") == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].startswith("One node carries ")
    assert "the event loop binds it, busy for " in lines[0]
    assert lines[1].startswith("1,000 users need ")
    assert lines[3].split() == ["users", "runs", "p50", "p95", "p99", "busy", "wait", "M/G/1", "verdict"]
    assert "message rate" in out
    assert err == ""
    page = (tmp_path / "out" / "capacity-report.html").read_text(encoding="utf-8")
    command = "chatsim capacity pairs.yaml --target &#39;p99(delivery_latency) &lt;= 2s&#39; --users 1000"
    assert f"{command} --headroom 30% --price 0.5 --most 30 --seed 1" in page
    assert "Not validated" in page
    assert str(tmp_path) not in page
    assert {path.name for path in (tmp_path / "out" / "capacity").iterdir()} == {
        "capacity.json",
        "knee.csv",
        "waits.csv",
        "knee.png",
        "tornado.csv",
        "tornado.png",
        "waits.png",
    }


def test_words_of_the_scenario_may_be_changed_and_stand_in_the_command(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "here.yaml").write_text("{frame: 40ms, frame_status: 0s, verify: 0s, recipient: 0s, write: 0s}")
    assert asked("--quick", "--json", "--most", "30") == 0
    usual = json.loads(capsys.readouterr().out)
    assert asked("--quick", "--json", "--most", "30", "--set", "costs=here.yaml", "-o", "out") == 0
    slower = json.loads(capsys.readouterr().out)
    assert slower["high"] < usual["high"]
    page = (tmp_path / "out" / "capacity-report.html").read_text(encoding="utf-8")
    assert "--set costs=here.yaml --headroom 30% --most 30 --seed 1 --quick" in page


def test_what_a_node_has_stands_in_the_command_to_the_last_byte(capsys: Capture, tmp_path: Path) -> None:
    assert asked("--quick", "--most", "8", "--egress", "1.23456789Gbit/s", "-o", "out") == 2
    page = (tmp_path / "out" / "capacity-report.html").read_text(encoding="utf-8")
    assert "--egress 1234567890bit/s" in page


def test_one_document_and_the_code_of_its_outcome(capsys: Capture) -> None:
    assert asked("--json", "--quick", "--target", "p99(delivery_latency) <= 1ms", "--most", "30") == 1
    none = json.loads(capsys.readouterr().out)
    assert (none["outcome"], none["low"], none["high"]) == ("none", 0, 2)
    assert asked("--json", "--quick", "--most", "8") == 2
    more = json.loads(capsys.readouterr().out)
    assert more["answer"].startswith("More than 8 users")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--target", "p99(delivry_latency) <= 1s"], "--target: unknown metric 'delivry_latency'"),
        (["--target", "p99(delivery_latency) >= 1s"], "is no limit that too much load would break"),
        (["--headroom", "30"], "--headroom 30:"),
        (["--headroom", "100%"], "leaves nothing"),
        (["--egress", "1GB"], "--egress 1GB:"),
        (["--memory", "4ms"], "--memory 4ms:"),
        (["--most", "1"], "raise --most to 2"),
        (["--memory", "4GiB"], "do not say how much memory a connection takes"),
        (["--price", "inf"], "is no price"),
        (["--target", "p99(reconnect_time) <= 1s"], "limits what never happens in pairs"),
        (["--jobs", "0"], "--jobs 0"),
        (["--set", "costs=nowhere.json"], "neither `default` nor a file beside the scenario"),
        (["--set", "costs"], "--set costs"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(words: list[str], says: str, capsys: Capture) -> None:
    assert asked(*words) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert len(err.splitlines()) == 1


def test_a_folder_that_cannot_be_written_is_refused(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file", encoding="utf-8")
    assert asked("--quick", "--most", "8", "-o", "out") == 3
    assert "name another folder with -o" in capsys.readouterr().err


def test_an_interrupt_leaves_nothing_half_done(tmp_path: Path) -> None:
    path = tmp_path / "pairs.yaml"
    path.write_text(WORDS.replace("duration: 6s", "duration: 10h"), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "capacity", "pairs.yaml", "--jobs", "2", "-o", "out"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{ROOT}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with suppress(subprocess.TimeoutExpired):
        assert process.wait(timeout=4) is None, "it ended too soon"
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "chatsim: interrupted"
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()
