"""`chat`: two people over pipes, and every way in which it can end."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatsim.cli.chatting import token_source
from chatsim.cli.main import main
from chatsim.core.tokens import Claims, Keys, verify
from chatsim.errors import UsageError
from tests.cli.fakes import Fakes

ROOT = Path(__file__).parents[2]
SECRET = b"s" * 32
PATIENCE_S = 30.0


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_bytes(SECRET)
    return file


def start(*argv: str) -> subprocess.Popen[str]:
    """A chatsim with pipes."""
    return subprocess.Popen(
        [sys.executable, "-m", "chatsim", *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


@pytest.fixture(params=["--insecure", "--tls-self-signed"])
def url(request: pytest.FixtureRequest, secret: Path) -> Iterator[str]:
    """A real server, with and without TLS."""
    with start("serve", "--port", "0", "--ephemeral", "--secret-file", str(secret), request.param) as server:
        assert server.stdout is not None
        yield server.stdout.readline().removeprefix("listening on ").strip()
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=PATIENCE_S)


class Pipe:
    """One person behind pipes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def type(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def line(self, word: str) -> str:
        """The next line with this word in it; the pipe's end is no such line."""
        assert self.process.stdout is not None
        while word not in (line := self.process.stdout.readline()):
            assert line, f"it ended without {word!r}"
        return line.rstrip("\n")


def test_two_people_talk_over_pipes(url: str, secret: Path) -> None:
    def person(name: str) -> subprocess.Popen[str]:
        flags = ["--user", name, "--secret-file", str(secret), "--session", "room"]
        return start("chat", url, *flags, *(["--insecure"] if url.startswith("wss") else []))

    with person("ann") as one, person("bob") as two:
        ann, bob = Pipe(one), Pipe(two)
        # A line that never comes must not be waited for until somebody looks.
        impatience = [threading.Timer(PATIENCE_S, process.kill) for process in (one, two)]
        for timer in impatience:
            timer.start()
        ann.line("in room: ")
        bob.line("in room: ")
        ann.type("/who")
        ann.line("bob")
        ann.type("good morning \x1b[31m")
        assert bob.line("good morning").endswith(r" ann: good morning \x1b[31m")
        ann.line("[1] ann: good morning")
        ann.line("[1] delivered to bob")
        bob.type("/quit")
        rest, err = two.communicate(timeout=PATIENCE_S)
        assert (two.returncode, err) == (0, "")
        ann.type("the last word")
        rest, err = one.communicate(timeout=PATIENCE_S)
        for timer in impatience:
            timer.cancel()
        assert "[2] ann: the last word" in rest
        assert (one.returncode, err) == (0, "")
        assert "\x1b" not in rest


@pytest.mark.parametrize("url", ["--insecure"], indirect=True)
def test_ctrl_c_leaves_cleanly(url: str, secret: Path) -> None:
    with start("chat", url, "--user", "ann", "--secret-file", str(secret), "--session", "room") as process:
        Pipe(process).line("in room: ann")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert err == "chatsim: interrupted\n"


@pytest.mark.parametrize("url", ["--insecure"], indirect=True)
def test_a_refused_token_and_a_refused_session_are_three(
    url: str, secret: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["chat", url, "--token", "eyJ.junk.x"], Fakes().doors()) == 3
    err = capsys.readouterr().err
    assert "token_invalid" in err
    assert "eyJ" not in err
    mine = ["--user", "ann", "--secret-file", str(secret)]
    assert main(["token", *mine, "--sessions", "here"], Fakes().doors()) == 0
    token = capsys.readouterr().out.strip()
    assert main(["chat", url, "--token", token, "--session", "there"], Fakes().doors()) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "'there' cannot be joined" in err
    assert token not in err


def test_a_server_that_is_not_there_is_four(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert main(["chat", f"ws://127.0.0.1:{port}/ws", "--token", "t"], Fakes().doors()) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert str(port) in err


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        ([], "URL"),
        (["ws://h/ws"], "one token"),
        (["ws://[/ws", "--token", "t"], "address"),
        (["http://h/ws", "--token", "t"], "address"),
        (["ws://h/ws?token=a", "--token", "t"], "one token"),
        (["ws://h/ws", "--user", "u"], "both"),
        (["ws://h/ws", "--secret-file", "f"], "both"),
        (["ws://h/ws", "--token-file", "no-such-file"], "no-such-file"),
        (["wss://h/ws", "--token", "t", "--insecure"], "loopback"),
        (["wss://h/ws", "--token", "t", "--insecure", "--ca", "x"], "--ca or --insecure"),
        (["wss://h/ws", "--token", "t", "--ca", "no-such-file"], "no-such-file"),
    ],
)
def test_wrong_flags_are_three_and_a_sentence(argv: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chat", *argv], Fakes().doors()) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert word in err
    assert "Traceback" not in err


def test_a_token_file_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one\n", encoding="ascii")
    source = token_source("ws://h/ws", None, file, None, None, None, None)
    assert callable(source)
    assert source() == "one"
    file.write_text("two\n", encoding="ascii")
    assert source() == "two"
    file.write_text("\n", encoding="ascii")
    with pytest.raises(UsageError, match="empty"):
        source()


def test_a_token_that_is_made_is_for_whom_the_servers_settings_want_it(secret: Path, tmp_path: Path) -> None:
    config = tmp_path / "handler.yaml"
    config.write_text("audience: chat\n", encoding="utf-8")
    source = token_source("ws://h/ws", None, None, "ann", secret, config, None)
    assert callable(source)
    assert isinstance(verify(source(), Keys((SECRET,)), time.time(), audience="chat"), Claims)
    with pytest.raises(UsageError, match="--config"):
        token_source("ws://h/ws", "t", None, None, None, config, None)


def test_a_token_in_the_url_is_enough() -> None:
    assert token_source("ws://h/ws?token=t", None, None, None, None, None, None) is None
