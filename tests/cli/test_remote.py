"""`run` and `check` on somebody else's server: options, exit codes, and what the reports say of what was not judged."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from chatsim.cli.main import main
from chatsim.core.tokens import Minter
from chatsim.live import absence, remote
from chatsim.live.target import target
from chatsim.runner.run import run
from chatsim.scenario.load import load
from tests.live.foreign import SECRET, Foreign, Mortal, foreign

Capture = pytest.CaptureFixture[str]
PATIENCE_S = 30.0

AGAIN = ("--attempts", "5")
"""A machine that was too busy for a run plays it again."""

TALK = """name: talk
duration: 1s
handler: {reliability: baseline, retry_interval: 100ms}
groups:
  - {name: people, users: 4, session_size: 2, messages: {arrivals: periodic, rate: 12/s}}
expect:
  - lost == 0
  - duplicates == 0
  - max(utilisation) <= 90%
  - undelivered == 0
"""
CRASH = """name: crash
duration: 1s
groups: [{name: people, users: 2}]
events: [{at: 500ms, do: crash_node, down: 1s}]
expect: [lost == 0, duplicates == 0]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two scenarios, a key, and the working directory."""
    (tmp_path / "talk.yaml").write_text(TALK, encoding="utf-8")
    (tmp_path / "crash.yaml").write_text(CRASH, encoding="utf-8")
    (tmp_path / "secret").write_bytes(SECRET + b"\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


REPORTS = ("--junit", "o.xml", "--json-file", "o.json", "--csv", "o.csv", "--html", "o.html")


def test_what_cannot_be_judged_is_skipped_with_the_reason_in_every_report(folder: Path, capsys: Capture) -> None:
    with foreign(Foreign()) as server:
        code = main(["check", "talk.yaml", "--on", server.url, "--secret-file", "secret", *REPORTS, *AGAIN])
        host = server.url
    out = capsys.readouterr().out
    assert code == 0, out
    assert [line.split()[-1] for line in out.splitlines()[1:5]] == ["pass", "pass", "skipped", "skipped"]
    assert "skipped of talk: max(utilisation) <= 90%: the processor of somebody else's server" in out
    assert f"talk: handler: is what {host} is believed to be configured with" in out
    suite = ElementTree.parse(folder / "o.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("skipped"), suite.get("failures"), suite.get("errors")) == (
        "4",
        "2",
        "0",
        "0",
    )
    told = [case.find("skipped") for case in suite]
    assert [found is not None for found in told] == [False, False, True, True]
    assert told[2] is not None
    assert "is not seen from outside" in (told[2].get("message") or "")
    found = json.loads((folder / "o.json").read_text(encoding="utf-8"))
    assert found["verdict"] == "pass"
    assert [each["verdict"] for each in found["findings"]] == ["pass", "pass", "skipped", "skipped"]
    assert found["findings"][0]["again"] == f"chatsim run talk.yaml --on {host} --secret-file secret --seed 1"
    for name in ("o.csv", "o.html"):
        assert "is not seen from outside" in (folder / name).read_text(encoding="utf-8")
    (written,) = folder.glob("results/runs/talk/*/run.json")
    document = json.loads(written.read_text(encoding="utf-8"))
    assert document["wire"] == host
    assert document["expectations"][2]["why"]
    assert "undelivered" not in document["counters"]
    assert "undelivered" in document["health"]["not_known"]


def test_what_was_kept_of_it_is_reported_and_what_was_never_seen_is_explained(folder: Path, capsys: Capture) -> None:
    with foreign(Foreign()) as server:
        assert main(["run", "talk.yaml", "--on", server.url, "--secret-file", "secret", "--out", "runs", *AGAIN]) == 0
    (run,) = [path.parent for path in Path("runs").rglob("run.json")]
    capsys.readouterr()
    for words in (["replay"], ["replay", "--arrivals"], ["timeline"]):
        assert main([*words, str(run)]) == 3
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith(f"chatsim: {run} has no journal.jsonl, because {server.url} is somebody else's server")
        assert "`chatsim report`" in err
        assert len(err.splitlines()) == 1
    assert main(["report", str(run), "-o", "o.html", "--pdf", "o.pdf"]) == 0
    page = Path("o.html").read_text(encoding="utf-8")
    assert "2 of 2 promises hold, 2 not judged." in page
    assert "Every promise that was judged holds in this run: 2 of 2." in page
    assert "max(utilisation) &lt;= 90% was not judged: the processor of somebody else" in page
    assert "fails" not in page
    assert f"chatsim run talk.json --on {server.url} --secret-file FILE --seed 1" in page
    assert page.count("<svg") == 2
    assert "Second by second" not in page
    assert Path("o.pdf").read_bytes().startswith(b"%PDF")


def test_github_is_told_of_failures_and_its_table_of_what_was_skipped(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary.md"))
    with foreign(Foreign("loses")) as server:
        code = main(["run", "talk.yaml", "--on", server.url, "--secret-file", "secret", *AGAIN])
    assert code == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("::error")]
    assert len(errors) == 1
    assert "lost == 0: observed" in errors[0]
    assert (folder / "summary.md").read_text(encoding="utf-8").count("| skipped |") == 2


def test_a_scenario_of_which_nothing_can_be_asked_is_not_green(folder: Path, capsys: Capture) -> None:
    with foreign(Foreign()) as server:
        words = ["check", "crash.yaml", "talk.yaml", "--on", server.url, "--secret-file", "secret"]
        code = main([*words, *REPORTS, *AGAIN])
    out = capsys.readouterr().out
    assert code == 3
    assert re.search(r"crash .*crash_node at 500 ms is not done to a server that somebody else runs +skipped", out)
    root = ElementTree.parse(folder / "o.xml").getroot()
    assert [suite.get("skipped") for suite in root] == ["2", "2"]
    assert json.loads((folder / "o.json").read_text(encoding="utf-8"))["verdict"] == "invalid"


def test_a_broken_promise_is_not_hidden_by_what_was_skipped(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    with foreign(Foreign("loses")) as server:
        words = ["check", "crash.yaml", "talk.yaml", "--on", server.url, "--secret-file", "secret", "--json"]
        assert main([*words, *REPORTS, *AGAIN]) == 1
        host = server.url
    out, err = capsys.readouterr()
    assert json.loads(out)["verdict"] == "fail"
    assert json.loads((folder / "o.json").read_text(encoding="utf-8"))["verdict"] == "fail"
    why = f"not played on {host}: crash_node at 500 ms is not done to a server that somebody else runs"
    lines = err.splitlines()
    again = f"chatsim run crash.yaml --on {host} --secret-file secret --seed 1"
    told = [line for line in lines if line.startswith("crash.yaml:5: ")]
    assert told == [f"crash.yaml:5: lost == 0: skipped: {why}; again: {again}"]
    assert len([line for line in lines if line.startswith("talk.yaml:7: lost == 0: observed ")]) == 1
    errors = [line for line in lines if line.startswith("::error ")]
    assert [re.sub(r"::.*", "", line.removeprefix("::error ")) for line in errors] == [
        f"file=crash.yaml,line=5,title=crash ({_escaped(host)})",
        f"file=talk.yaml,line=7,title=talk ({_escaped(host)})",
    ]


def _escaped(text: str) -> str:
    """As a property of a workflow command has it."""
    return text.replace(":", "%3A")


def test_a_run_that_is_skipped_as_a_whole_is_told_where_it_is_written(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    with foreign(Foreign()) as server:
        assert main(["run", "crash.yaml", "--on", server.url, "--secret-file", "secret"]) == 3
    told, annotation = capsys.readouterr().err.splitlines()[-2:][::-1]
    assert annotation.startswith("::error file=crash.yaml,line=5,title=crash (")
    assert told.startswith("chatsim: not played on ws:")


def test_all_that_was_played_and_skipped_is_not_green_either(folder: Path, capsys: Capture) -> None:
    (folder / "talk.yaml").write_text(TALK.replace("  - lost == 0\n  - duplicates == 0\n", ""), encoding="utf-8")
    with foreign(Foreign()) as server:
        code = main(["run", "talk.yaml", "--on", server.url, "--secret-file", "secret", "--json", *AGAIN])
    assert code == 3
    assert json.loads(capsys.readouterr().out)["verdict"] == "skipped"


def test_a_wrong_secret_ends_all_with_one_sentence_and_one_handshake(folder: Path, capsys: Capture) -> None:
    (folder / "secret").write_text("another secret of more than 32 bytes", encoding="ascii")
    with foreign(Foreign()) as server:
        code = main(["check", "talk.yaml", "talk.yaml", "--on", server.url, "--secret-file", "secret", *REPORTS])
    err = capsys.readouterr().err
    assert code == 3
    assert server.handshakes == 1
    assert err.count("refuses every handshake") == 1
    assert "another secret" not in err
    root = ElementTree.parse(folder / "o.xml").getroot()
    assert {suite.get("errors") for suite in root} == {suite.get("tests") for suite in root}


def test_a_server_that_is_not_there_is_a_failure_of_its_own(folder: Path, capsys: Capture) -> None:
    with foreign(Foreign()) as server:
        url = server.url
    assert main(["run", "talk.yaml", "--on", url, "--secret-file", "secret"]) == 4
    assert "cannot be reached" in capsys.readouterr().err


def test_a_server_that_goes_away_loses_nothing_of_what_was_found(folder: Path, capsys: Capture) -> None:
    (folder / "later.yaml").write_text(TALK.replace("name: talk", "name: later"), encoding="utf-8")
    with foreign(Foreign(greets=1 + 4)) as server:
        words = ["check", "talk.yaml", "later.yaml", "--on", server.url, "--secret-file", "secret", "--json"]
        code = main([*words, "--junit", "o.xml"])
    runs = json.loads(capsys.readouterr().out)["runs"]
    # Where the machine was too busy to judge the first, that is said, and not forgotten either.
    assert code == (3 if runs[0]["valid"] else 4)
    assert [bool(run["metrics"]) for run in runs] == [True, False]
    assert "refuses every handshake" in runs[1]["why_invalid"]
    assert ElementTree.parse(folder / "o.xml").getroot()[1].get("errors") == "4"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--on", "wss://chat.example/ws"], "--secret-file or --key-file"),
        (["--on", "wss://chat.example/ws", "--secret-file", "secret", "--key-file", "secret"], "--secret-file or"),
        (["--on", "wss://chat.example/ws", "--key-file", "secret"], "no private key in PEM"),
        (["--on", "https://chat.example/", "--secret-file", "secret"], "no address of a chat server"),
        (["--on", "wss://chat.example/ws", "--secret-file", "none"], "there is no such file"),
        (["--on", "live", "--secret-file", "secret"], "--on wss://host/ws"),
        (["--insecure"], "--on wss://host/ws"),
        (["--on", "nowhere"], "there is no such wire"),
        (["--on", "wss://chat.example/ws", "--secret-file", "secret", "--replications", "3"], "virtual time"),
    ],
)
def test_what_does_not_go_together_is_refused(words: list[str], why: str, folder: Path, capsys: Capture) -> None:
    for command in ("run", "check"):
        assert main([command, "talk.yaml", *words]) == 3
        assert why in capsys.readouterr().err


def test_a_query_is_in_no_line_that_plays_it_again_and_that_is_said(folder: Path, capsys: Capture) -> None:
    with foreign(Foreign()) as server:
        url = server.url
    words = ["run", "talk.yaml", "--on", f"{url}?key=hidden", "--secret-file", "secret", "--junit", "o.xml"]
    assert main(words) == 4
    out, err = capsys.readouterr()
    said = f"chatsim: what {url} has after its ? may be a secret, and is in no line that plays it again: add it there"
    assert err.splitlines()[0] == said
    assert "hidden" not in out + err + (folder / "o.xml").read_text(encoding="utf-8")


def test_insecure_says_what_it_does_and_a_private_key_signs(folder: Path, capsys: Capture) -> None:
    from chatsim.live.tls import self_signed, server_context

    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(pem)
    told = Foreign(key=key.public_key(), algorithm="EdDSA", audience="chat")
    with self_signed() as files, foreign(told, server_context(files.cert, files.key)) as server:
        words = ["run", "talk.yaml", "--on", server.url, "--key-file", "key.pem", "--audience", "chat", *AGAIN]
        assert main(words) == 3
        assert "--ca-file" in capsys.readouterr().err
        assert main([*words, "--ca-file", str(files.cert)]) == 0
        assert "not checked" not in capsys.readouterr().err
        assert main([*words, "--insecure"]) == 0
        assert "the certificate of 127.0.0.1 is not checked" in capsys.readouterr().err


@contextmanager
def serve(folder: Path, *words: str) -> Iterator[str]:
    """`chatsim serve` in a process of its own; its address."""
    with served(folder, *words) as (url, _):
        yield url


@contextmanager
def served(folder: Path, *words: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The same, with the process."""
    command = [
        sys.executable,
        "-m",
        "chatsim",
        "serve",
        "--port",
        "0",
        "--ephemeral",
        "--secret-file",
        "secret",
        *words,
    ]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            assert server.stdout is not None
            found = None
            while found is None:
                line = server.stdout.readline()
                assert line, "the server ended"
                found = re.search(r"(http|ws)(s?)://127\.0\.0\.1:\d+", line)
            yield f"ws{found[2]}://{found[0].partition('://')[2]}/ws", server
        finally:
            server.terminate()
            server.communicate(timeout=PATIENCE_S)


POSTS = """name: posts
duration: 1s
groups: [{name: people, users: 4, session_size: 2, messages: {arrivals: periodic, rate: 6/s}}]
events: [{at: 500ms, do: post}]
expect: [lost == 0, undelivered == 0, duplicates == 0, errors == 0]
"""


def test_where_nobody_got_in_what_holds_of_nothing_proves_nothing(folder: Path, capsys: Capture) -> None:
    words = "name: forgers\nduration: 1s\ngroups: [{name: all, users: 2, credentials: forged, reconnect: false}]\n"
    (folder / "forgers.yaml").write_text(f"{words}expect: [lost == 0, errors == 0]\n", encoding="utf-8")
    with serve(folder) as url:
        assert main(["run", "forgers.yaml", "--on", url, "--secret-file", "secret"]) == 4
    assert "nobody got in" in capsys.readouterr().err


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_our_own_server_in_a_process_of_its_own(tls: bool, folder: Path, capsys: Capture) -> None:
    from chatsim.live.tls import self_signed

    (folder / "posts.yaml").write_text(POSTS, encoding="utf-8")
    (folder / "admin").write_text("an administrator's key of 32 bytes", encoding="ascii")
    with self_signed() as files:
        more = ["--tls-cert", str(files.cert), "--tls-key", str(files.key)] if tls else []
        with serve(folder, "--admin-key-file", "admin", *more) as url:
            words = ["run", "posts.yaml", "--on", url, "--secret-file", "secret", *AGAIN]
            words += ["--ca-file", str(files.cert)] if tls else []
            assert main(words) == 3
            assert "give --admin-key-file" in capsys.readouterr().err
            assert main([*words, "--admin-key-file", "admin"]) == 0, capsys.readouterr().out
            assert "post at 5" in capsys.readouterr().out


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is waited for for long."""
    monkeypatch.setattr(absence, "GONE_S", 0.3)
    monkeypatch.setattr(remote, "ACKS_S_MAX", 0.3)


@pytest.mark.usefixtures("hasty")
def test_our_own_server_that_is_killed_in_the_middle_is_no_pass(folder: Path) -> None:
    (folder / "talk.yaml").write_text(TALK.replace("duration: 1s", "duration: 1h"), encoding="utf-8")
    with served(folder) as (url, server):

        def kill(share: float) -> None:
            if share * 3600 >= 0.5:
                server.kill()

        there = target(url, Minter(SECRET, "HS256"))
        result = run(load("talk.yaml"), on=url, target=there, out=Path("runs"), progress=kill)
    assert (result.verdict, result.valid, result.busy) == ("invalid", False, False)
    assert f"{url} went away: from " in result.why_invalid
    assert result.path is not None
    document = json.loads((result.path / "run.json").read_text(encoding="utf-8"))
    assert document["why_invalid"] == result.why_invalid
    assert document["health"]["settled"] is False


@pytest.mark.usefixtures("hasty")
def test_check_of_a_server_that_goes_away_ends_with_4_and_says_so_in_every_report(
    folder: Path, capsys: Capture
) -> None:
    (folder / "talk.yaml").write_text(TALK.replace("  - undelivered == 0\n", ""), encoding="utf-8")
    with foreign(Mortal()) as server:
        words = ["check", "talk.yaml", "--on", server.url, "--secret-file", "secret", *REPORTS]
        code = main(words)
    out, err = capsys.readouterr()
    assert code == 4, out
    assert "went away: from 0." in err
    assert json.loads((folder / "o.json").read_text(encoding="utf-8"))["verdict"] == "invalid"
    for name in REPORTS[1::2]:
        assert "went away: from 0." in (folder / name).read_text(encoding="utf-8"), name


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(("promise", "ends"), [("duplicates == 0", 4), ("connections_peak <= 1", 1)])
def test_what_was_never_answered_proves_nothing_and_hides_no_broken_promise(
    promise: str, ends: int, folder: Path, capsys: Capture
) -> None:
    talk, _, _ = TALK.partition("expect:")
    (folder / "talk.yaml").write_text(f"{talk}expect: [{promise}]\n", encoding="utf-8")
    with foreign(Foreign("mute")) as server:
        code = main(["run", "talk.yaml", "--on", server.url, "--secret-file", "secret", *AGAIN])
    out, err = capsys.readouterr()
    assert code == ends, out + err
    assert ("messages without an answer" in out + err) == (ends == 4)


class Closed(Foreign):
    """Answers every message with a refusal."""

    async def say(self, connection: Any, user: str, frame: dict[str, Any]) -> None:
        error = {"type": "error", "code": "no_such_session", "message": "no", "id": frame["id"]}
        await connection.send(json.dumps(error))


@pytest.mark.parametrize(
    ("promise", "ends"), [("duplicates == 0", 4), ("connections_peak <= 1", 1), ("errors >= 9", 0)]
)
def test_a_server_that_refuses_every_message_is_not_green_unless_that_is_promised(
    promise: str, ends: int, folder: Path, capsys: Capture
) -> None:
    talk, _, _ = TALK.partition("expect:")
    (folder / "talk.yaml").write_text(f"{talk}expect: [{promise}]\n", encoding="utf-8")
    with foreign(Closed()) as server:
        code = main(["check", "talk.yaml", "--on", server.url, "--secret-file", "secret", *AGAIN])
    out, err = capsys.readouterr()
    assert code == ends, out + err
    assert (re.search(r"acked none of \d+ messages", out + err) is not None) == (ends == 4)


def test_the_command_of_the_readme_passes(folder: Path, capsys: Capture) -> None:
    readme = (Path(__file__).parents[2] / "chatsim" / "README.md").read_text(encoding="utf-8")
    section = readme.partition("\n## On somebody else's server\n")[2].partition("\n## ")[0]
    (line,) = re.findall(r"^chatsim (check .* --secret-file .*)$", section, re.MULTILINE)
    with foreign(Foreign()) as server:
        words = [{"wss://chat.example/ws": server.url, "after-lunch.yaml": "talk.yaml"}.get(w, w) for w in line.split()]
        assert main([*words, *AGAIN]) == 0, capsys.readouterr().out
    assert (folder / "out.xml").exists()
