"""`token`: prints a JWT that the server takes, and only that."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from chatsim.cli.main import main
from chatsim.cli.tokens import life_s, mint, session_names
from chatsim.core.tokens import Claims, Keys, Minter, verify
from chatsim.errors import UsageError
from tests.cli.fakes import Fakes

KEY = b"0123456789abcdef0123456789abcdef"
MINTER = Minter(KEY, "HS256")
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_bytes(KEY)
    return file


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, bytes]:
    """The file of a private key for ES256, and its public key."""
    private = ec.generate_private_key(ec.SECP256R1())
    file = tmp_path / "private.pem"
    file.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return file, private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_the_token_printed_is_good_for_its_time(tmp_path: Path, capsys: Capture) -> None:
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
    token = mint(MINTER, "alice", None, 60.0, wall=1000.0)
    assert isinstance(verify(token, Keys((KEY,)), 1059.0), Claims)
    assert not isinstance(verify(token, Keys((KEY,)), 1060.0), Claims)


@pytest.mark.parametrize("user", ["@server", "@", "@ann"])
def test_names_of_the_server_are_three_and_a_sentence(user: str, secret: Path, capsys: Capture) -> None:
    assert main(["token", "--user", user, "--secret-file", str(secret)], Fakes().doors()) == 3
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert "does not begin with @" in err


def test_two_tokens_differ() -> None:
    assert mint(MINTER, "alice", None, 60.0, wall=1000.0) != mint(MINTER, "alice", None, 60.0, wall=1000.0)


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


def test_a_missing_secret_is_three(tmp_path: Path, capsys: Capture) -> None:
    assert main(["token", "--user", "a", "--secret-file", str(tmp_path / "no")], Fakes().doors()) == 3
    assert "no such file" in capsys.readouterr().err


def test_a_token_is_for_whom_the_servers_settings_want_it(secret: Path, tmp_path: Path, capsys: Capture) -> None:
    config = tmp_path / "handler.yaml"
    config.write_text("audience: chat\nissuer: us\nping_interval: 20s\n", encoding="utf-8")
    argv = ["token", "--user", "alice", "--secret-file", str(secret)]
    keys, now = Keys((KEY,)), time.time()
    assert main([*argv, "--config", str(config)], Fakes().doors()) == 0
    assert isinstance(verify(capsys.readouterr().out.strip(), keys, now, audience="chat", issuer="us"), Claims)
    assert main([*argv, "--audience", "talk", "--issuer", "them"], Fakes().doors()) == 0
    assert isinstance(verify(capsys.readouterr().out.strip(), keys, now, audience="talk", issuer="them"), Claims)
    # What is said outright wins over the file.
    assert main([*argv, "--config", str(config), "--audience", "talk"], Fakes().doors()) == 0
    assert isinstance(verify(capsys.readouterr().out.strip(), keys, now, audience="talk", issuer="us"), Claims)


def test_a_private_key_signs_with_the_algorithm_that_is_pinned(
    pair: tuple[Path, bytes], tmp_path: Path, capsys: Capture
) -> None:
    file, public = pair
    config = tmp_path / "handler.yaml"
    config.write_text("algorithms: [RS256, ES256]\n", encoding="utf-8")
    argv = ["token", "--user", "alice", "--secret-file", str(file)]
    for flags in (["--algorithm", "ES256"], ["--config", str(config)]):
        assert main([*argv, *flags], Fakes().doors()) == 0
        token = capsys.readouterr().out.strip()
        assert isinstance(verify(token, Keys((public,), ("ES256",)), time.time()), Claims)


def test_keys_that_cannot_sign_are_three_and_a_sentence(
    pair: tuple[Path, bytes], secret: Path, tmp_path: Path, capsys: Capture
) -> None:
    private, public = pair
    checks = tmp_path / "public.pem"
    checks.write_bytes(public)
    for file, algorithm, word in (
        (checks, "ES256", "needs the private key"),
        (private, "RS256", "does not fit RS256"),
        (private, "HS256", "does not fit HS256"),
        (secret, "EdDSA", "does not fit EdDSA"),
        (secret, "HS999", "HS256, RS256, ES256, EdDSA"),
    ):
        argv = ["token", "--user", "alice", "--secret-file", str(file), "--algorithm", algorithm]
        assert main(argv, Fakes().doors()) == 3
        out, err = capsys.readouterr()
        assert out == ""
        assert len(err.splitlines()) == 1
        assert word in err


def test_a_config_that_is_wrong_is_three(secret: Path, tmp_path: Path, capsys: Capture) -> None:
    config = tmp_path / "handler.yaml"
    config.write_text("audiense: chat\n", encoding="utf-8")
    argv = ["token", "--user", "a", "--secret-file", str(secret), "--config", str(config)]
    assert main(argv, Fakes().doors()) == 3
    assert "did you mean audience?" in capsys.readouterr().err
