"""One run for all expectations, over all processes of a session; whatever comes of it, it is a finding."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from chatsim.findings.finding import Play
from chatsim.pytest_plugin.playing import Plays, played
from chatsim.scenario.load import load
from chatsim.scenario.model import Scenario
from tests.pytest_plugin.sessions import GOOD, PLUGIN, WORDS, outside, write


def play(folder: Path, **changes: Any) -> Play:
    path = write(folder, "small", *GOOD)
    words: dict[str, Any] = {"scenario": load(path), "wire": "sim", "file": "small.yaml"}
    return Play(**words | changes)


def test_a_second_question_is_answered_from_memory(tmp_path: Path) -> None:
    plays = Plays(None, jobs=1)
    first = plays.found(play(tmp_path), tmp_path / "small.yaml")
    assert plays.found(play(tmp_path), tmp_path / "small.yaml") is first
    assert [finding.verdict for finding in first] == ["pass"] * 3


def test_what_another_process_has_played_is_read(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    first = Plays(shared, jobs=1).found(play(tmp_path), tmp_path / "small.yaml")
    second = Plays(shared, jobs=1).found(play(tmp_path), tmp_path / "small.yaml")
    # How long it took on the wall is never the same twice.
    assert [f"{finding}" for finding in first] == [f"{finding}" for finding in second]
    other = Plays(shared, jobs=1).found(play(tmp_path, wire="virtual"), tmp_path / "small.yaml")
    assert other[0].took_s != first[0].took_s


def test_without_the_shared_folder_each_plays_for_itself(tmp_path: Path) -> None:
    plays = Plays(tmp_path / "on another machine", jobs=1)
    assert plays.found(play(tmp_path), tmp_path / "small.yaml")[0].verdict == "pass"


def test_each_seed_and_number_of_replications_is_a_run_of_its_own(tmp_path: Path) -> None:
    plays, path = Plays(None, jobs=1), tmp_path / "small.yaml"
    one = play(tmp_path)
    other = play(tmp_path, scenario=one.scenario.with_seed(2))
    many = play(tmp_path, replications=3)
    found = [plays.found(each, path)[0] for each in (one, other, many)]
    assert [finding.replications for finding in found] == [1, 1, 3]
    assert found[0].observed != found[1].observed


def test_a_wire_that_refuses_is_a_reason_to_skip(tmp_path: Path) -> None:
    path = write(tmp_path, "small", words=WORDS.replace("tags:", "handler: {algorithms: [ES256]}\ntags:"))
    found = played(Play(scenario=load(path), wire="live"), 1)
    assert {finding.verdict for finding in found} == {"skipped"}
    assert "HS256" in found[0].why


def test_what_breaks_is_an_error_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHATSIM_DEBUG", raising=False)
    broken = play(tmp_path, wire="no such wire", replications=2)
    assert played(broken, 1)[0].verdict == "skipped"
    words = {"name": "x", "duration": "1s", "groups": [{"name": "a", "users": 1}], "expect": ["lost == 0"]}
    # Nothing that a person can write: a scenario that was changed behind its reader's back.
    made = Scenario.of(words).model_copy(update={"duration_s": "long"})
    (found,) = played(Play(scenario=made, wire="sim"), 1)
    assert found.verdict == "error"
    assert "something broke that should not: TypeError" in found.why
    monkeypatch.setenv("CHATSIM_DEBUG", "1")
    with pytest.raises(TypeError):
        played(Play(scenario=made, wire="sim"), 1)


def test_a_live_session_that_is_told_to_end_leaves_no_server_and_no_folder(tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    write(tmp_path, "long", words=WORDS.replace("duration: 20s", "duration: 1h\ntls: true"))
    told = [sys.executable, "-m", "pytest", *PLUGIN, "long.yaml", "--chatsim-on", "live"]
    environ = os.environ | {"TMPDIR": f"{temporary}", "PYTHONPATH": f"{Path(__file__).parents[2]}"}
    with subprocess.Popen(told, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True) as session:
        port = _port_of_server(temporary, session)
        session.terminate()
        out, _ = session.communicate(timeout=60)
    assert (session.returncode, list(temporary.iterdir())) == (pytest.ExitCode.INTERRUPTED, [])
    assert "KeyboardInterrupt" in out
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def _port_of_server(folder: Path, session: subprocess.Popen[str]) -> int:
    """Where the server of a live run under way listens."""
    patience = time.monotonic() + 60.0
    while True:
        for log in folder.glob("chatsim-live-*/**/server.log"):
            found = re.search(r"127\.0\.0\.1:(\d+)", log.read_text(encoding="utf-8"))
            if found is not None:
                return int(found[1])
        assert session.poll() is None
        assert time.monotonic() < patience
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["load", "loadgroup"])
def test_two_workers_share_one_run(mode: str, pytester: pytest.Pytester) -> None:
    texts = [f"p99(delivery_latency) <= {limit}s" for limit in range(2, 10)]
    write(pytester.path, "a", *texts)
    write(pytester.path, "b", *texts)
    result = outside(pytester, "-n", "2", "--dist", mode, "--junitxml", "out.xml", "--junit-prefix", "x")
    result.assert_outcomes(passed=18)
    took = [each["took_s"] for each in _cases(pytester.path / "out.xml")]
    assert len(took) == 18
    assert len(set(took)) == 2


@pytest.mark.slow
def test_two_workers_share_one_live_run(pytester: pytest.Pytester) -> None:
    write(pytester.path, "a", *GOOD)
    result = outside(pytester, "-n", "2", "--chatsim-on", "live", "--junitxml", "out.xml")
    result.assert_outcomes(passed=4)
    assert len({each["took_s"] for each in _cases(pytester.path / "out.xml")}) == 1


def _cases(junit: Path) -> list[dict[str, str]]:
    return [
        {each.attrib["name"]: each.attrib["value"] for each in case.iter("property")}
        for case in ElementTree.parse(junit).iter("testcase")
    ]
