"""`token`: prints a JWT that the server takes, and only that."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from chatsim.cli.main import main
from chatsim.cli.tokens import life_s, mint, session_names
from chatsim.core.tokens import Claims, Keys, verify
from chatsim.errors import UsageError
from tests.cli.fakes import Fakes

KEY = b"0123456789abcdef0123456789abcdef"


def test_the_token_printed_is_good_for_its_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "key"
    file.write_bytes(KEY + b"\n")
    argv = ["token", "--user", "alice", "--sessions", "a, b", "--ttl", "10min", "--secret-file", str(file)]
    before = time.time()
    assert main(argv, Fakes().doors()) == 0
    out = capsys.readouterr().out
    assert len(out.split()) == 1
    claims = verify(out.strip(), Keys((KEY,)), before + 300)
    assert isinstance(claims, Claims)
    assert (claims.sub, claims.sessions) == ("alice", ("a", "b"))
    assert before + 600 <= claims.exp <= time.time() + 600


def test_a_token_ends(tmp_path: Path) -> None:
    token = mint(KEY, "alice", None, 60.0, wall=1000.0)
    assert isinstance(verify(token, Keys((KEY,)), 1059.0), Claims)
    assert not isinstance(verify(token, Keys((KEY,)), 1060.0), Claims)


def test_two_tokens_differ() -> None:
    assert mint(KEY, "alice", None, 60.0, wall=1000.0) != mint(KEY, "alice", None, 60.0, wall=1000.0)


def test_sessions_left_out_are_not_no_sessions() -> None:
    assert session_names(None) is None
    assert session_names("a") == ("a",)


@pytest.mark.parametrize("text", ["", "a,,b", "x" * 129])
def test_names_have_a_length(text: str) -> None:
    with pytest.raises(UsageError, match="1 to 128"):
        session_names(text)


@pytest.mark.parametrize("text", ["15", "0s", "soon", "-1min"])
def test_a_life_has_a_unit_and_is_long(text: str) -> None:
    with pytest.raises(UsageError, match="--ttl"):
        life_s(text)


def test_a_missing_secret_is_three(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "--user", "a", "--secret-file", str(tmp_path / "no")], Fakes().doors()) == 3
    assert "no such file" in capsys.readouterr().err
