"""The server process: told by files and flags, stopped in order, and quoted when it dies."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from chatsim.core.config import HandlerConfig
from chatsim.errors import HarnessError
from chatsim.journal.steps import read_header
from chatsim.live.node import Node, config_words
from chatsim.live.tls import self_signed
from chatsim.scenario.handler import handler_config

SECRET = b"0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    "config",
    [
        HandlerConfig(),
        HandlerConfig(
            reliability="baseline",
            ping_interval_s=0.25,
            retries=0,
            rate_limit=5,
            rate_window_s=1.0,
            rate_algorithm="token_bucket",
            message_bytes_max=1000,
            accept_rate_per_s=12.5,
            compression=True,
            algorithms=("HS256",),
            audience="chat",
            origins=("https://a.example",),
            history_for_s=3600.0,
        ),
    ],
)
def test_a_configuration_survives_its_words(config: HandlerConfig) -> None:
    written = msgspec.json.decode(msgspec.json.encode(config_words(config)))
    assert handler_config(written) == config


def test_defaults_need_no_words() -> None:
    assert config_words(HandlerConfig()) == {}


def test_the_real_server_listens_over_tls_and_ends_with_0(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    config = HandlerConfig(ping_interval_s=20.0)
    log = tmp_path / "server.log"
    with (
        self_signed() as tls,
        Node(config, secret=SECRET, journal=journal, log=log, tls=tls, time_scale=0.5) as node,
    ):
        assert node.url.startswith("wss://127.0.0.1:")
        assert node.cpu_s() > 0.0
        node.check()
        assert node.stop() == 0
        with pytest.raises(HarnessError, match="ended with 0"):
            node.check()
    assert read_header(journal).config == config.scaled(0.5)


def test_a_server_that_is_paused_is_not_run_meanwhile(tmp_path: Path) -> None:
    with Node(HandlerConfig(), secret=SECRET, log=tmp_path / "server.log") as node:
        with node.paused():
            stopped = os.waitid(os.P_PID, node.pid, os.WSTOPPED)
            assert stopped is not None
            assert stopped.si_status == signal.SIGSTOP
        continued = os.waitid(os.P_PID, node.pid, os.WCONTINUED)
        assert continued is not None
        assert continued.si_status == signal.SIGCONT
        assert node.stop() == 0


STARTER = """
import sys, time
from pathlib import Path
from chatsim.core.config import HandlerConfig
from chatsim.live.node import Node

folder = Path(sys.argv[1])
with Node(HandlerConfig(), secret=b"0" * 32, journal=folder / "journal.jsonl", log=folder / "server.log") as node:
    print(node.url, flush=True)
    time.sleep(3600)
"""
"""Whoever starts a server, and says where it listens."""


def test_a_server_ends_when_whoever_started_it_was_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", STARTER, f"{tmp_path}"], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        url = urlsplit(starter.stdout.readline())
        os.kill(starter.pid, signal.SIGKILL)
    # In good order: what it had to write down is written.
    patience = time.monotonic() + 30.0
    while "ended" not in (tmp_path / "server.log").read_text(encoding="utf-8"):
        assert time.monotonic() < patience
        time.sleep(0.05)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((f"{url.hostname}", url.port or 0))


def stand_in(tmp_path: Path, program: str) -> Node:
    return Node(
        HandlerConfig(),
        secret=SECRET,
        journal=tmp_path / "journal.jsonl",
        log=tmp_path / "server.log",
        program=(sys.executable, "-c", program),
    )


def test_a_server_that_dies_at_its_start_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="ended with 3 at its start: no room"):
        stand_in(tmp_path, "import sys; print('first\\nno room', file=sys.stderr); sys.exit(3)")


def test_a_program_that_says_something_else_is_no_server(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="hello"):
        stand_in(tmp_path, "print('hello', flush=True); import time; time.sleep(60)")


def test_a_server_that_dies_later_is_quoted(tmp_path: Path) -> None:
    program = "import sys; print('listening on ws://x', flush=True); print('too hot', file=sys.stderr); sys.exit(7)"
    with stand_in(tmp_path, program) as node:
        assert node.url == "ws://x"
        assert node.stop() in (7, -15)
