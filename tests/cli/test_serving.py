"""`serve`: what the flags mean together, and that a signal ends it in good order."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from chatsim.cli.main import main
from chatsim.cli.serving import DEV_SESSION, Options, announcer, settings_of
from chatsim.core.tokens import Claims, Keys, verify
from chatsim.errors import UsageError
from chatsim.journal.steps import read_header
from tests.cli.fakes import Fakes

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "chatsim", "serve", "--port", "0"]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_bytes(b"s" * 32)
    return file


def test_the_profile_goes_over_the_file(secret: Path, tmp_path: Path) -> None:
    file = tmp_path / "handler.yaml"
    file.write_text("ping_interval: 20s\nreliability: hardened\n", encoding="utf-8")
    settings = settings_of(Options(secret_file=(secret,), config=file, profile="baseline", time_scale=0.5))
    assert settings.config.reliability == "baseline"
    assert settings.config.ping_interval_s == 20.0
    assert settings.time_scale == 0.5
    assert settings.keys == (b"s" * 32,)


def test_two_secrets_are_good_at_once_and_the_first_signs(secret: Path, tmp_path: Path) -> None:
    older = tmp_path / "older"
    older.write_bytes(b"o" * 32)
    assert settings_of(Options(secret_file=(secret, older))).keys == (b"s" * 32, b"o" * 32)
    with pytest.raises(UsageError, match="3 times"):
        settings_of(Options(secret_file=(secret, older, older)))


@pytest.mark.parametrize("scale", [0.0, -1.0, float("inf"), float("nan")])
def test_a_time_scale_is_more_than_nothing(secret: Path, scale: float) -> None:
    with pytest.raises(UsageError, match="--time-scale"):
        settings_of(Options(secret_file=(secret,), time_scale=scale))


def test_a_profile_that_contradicts_the_file_is_refused(secret: Path, tmp_path: Path) -> None:
    file = tmp_path / "handler.yaml"
    file.write_text("reliability: baseline\nretention: 1s\n", encoding="utf-8")
    with pytest.raises(UsageError, match="retention"):
        settings_of(Options(secret_file=(secret,), config=file, profile="hardened"))


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        ([], "--secret-file"),
        (["--secret-file", "no-such-file"], "no such file"),
        (["--secret-file", "a", "--secret-file", "b", "--secret-file", "c"], "3 times"),
        (["--dev", "--profile", "soft"], "hardened or baseline"),
        (["--dev", "--config", "no-such-file.yaml"], "no-such-file.yaml"),
        (["--dev", "--port", "70000"], "--port"),
        (["--dev", "--log-level", "loud"], "debug, info"),
        (["--dev", "--ephemeral", "--data", "somewhere"], "--ephemeral"),
        (["--dev", "--host", "0.0.0.0"], "--insecure"),
        (["--dev", "--tls-cert", "no-such.pem", "--tls-key", "no-such.key"], "no-such"),
        (["--dev", "--tls-cert", "only.pem"], "certificate"),
    ],
)
def test_wrong_flags_are_three_and_a_sentence(argv: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", *argv], Fakes().doors()) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert word in err
    assert "Traceback" not in err


def test_a_port_in_use_is_three(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--dev", "--ephemeral", "--port", str(port)], Fakes().doors()) == 3
    assert str(port) in capsys.readouterr().err


@pytest.mark.parametrize("name", ["journal.jsonl", "no-such-folder/journal.jsonl", "."])
def test_a_journal_that_cannot_be_begun_is_three_and_stays_as_it_is(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = tmp_path / "journal.jsonl"
    there.write_text("mine\n", encoding="utf-8")
    argv = ["serve", "--dev", "--ephemeral", "--port", "0", "--log-level", "error", "--journal", str(tmp_path / name)]
    assert main(argv, Fakes().doors()) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert str(tmp_path / name) in err
    assert "name a new file with --journal" in err
    assert there.read_text(encoding="utf-8") == "mine\n"


def test_the_urls_of_dev_hold_good_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    options = Options(dev=True)
    settings = settings_of(options)
    assert settings.data == Path("chatsim-data")
    announcer(settings, options)("https://127.0.0.1:8443")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "listening on wss://127.0.0.1:8443/ws"
    for line, user in zip(lines[1:], ("alice", "bob"), strict=True):
        address, token = line.removeprefix(f"{user}: ").split("?token=")
        assert address == "wss://127.0.0.1:8443/ws"
        claims = verify(token, Keys(settings.keys), 0.0 + _exp(token, settings.keys) - 1.0)
        assert isinstance(claims, Claims)
        assert (claims.sub, claims.sessions) == (user, (DEV_SESSION,))


def test_the_urls_of_dev_are_for_whom_the_config_wants_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "handler.yaml"
    file.write_text("audience: chat\nissuer: us\n", encoding="utf-8")
    options = Options(dev=True, config=file)
    settings = settings_of(options)
    announcer(settings, options)("http://127.0.0.1:1")
    for line in capsys.readouterr().out.splitlines()[1:]:
        token = line.partition("?token=")[2]
        assert isinstance(verify(token, Keys(settings.keys), time.time(), audience="chat", issuer="us"), Claims)


def test_dev_signs_with_the_key_that_it_was_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    key, public, config = tmp_path / "key.pem", tmp_path / "public.pem", tmp_path / "handler.yaml"
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    config.write_text("algorithms: [ES256, EdDSA]\n", encoding="utf-8")
    options = Options(dev=True, config=config, secret_file=(key,))
    announcer(settings_of(options), options)("http://127.0.0.1:1")
    for line in capsys.readouterr().out.splitlines()[1:]:
        token = line.partition("?token=")[2]
        assert isinstance(verify(token, Keys((public.read_bytes(),), ("EdDSA",)), time.time()), Claims)
    options = Options(dev=True, config=config, secret_file=(public,))
    with pytest.raises(UsageError, match="private key"):
        announcer(settings_of(options), options)
    with pytest.raises(UsageError, match="--secret-file"):
        settings_of(Options(dev=True, config=config))


def test_where_what_was_said_is_kept() -> None:
    assert settings_of(Options(dev=True, data=Path("there"))).data == Path("there")
    assert settings_of(Options(dev=True, ephemeral=True)).data is None


def test_every_start_of_dev_has_its_own_secret() -> None:
    assert settings_of(Options(dev=True)).keys != settings_of(Options(dev=True)).keys


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_ends_with_zero(secret: Path, number: signal.Signals) -> None:
    journal = secret.with_name("journal.jsonl")
    with subprocess.Popen(
        [*COMMAND, "--secret-file", str(secret), "--journal", str(journal), "--data", str(secret.with_name("data"))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        assert line.startswith("listening on ws://127.0.0.1:")
        assert line.endswith("/ws\n")
        server.send_signal(number)
        rest, err = server.communicate(timeout=20)
    assert (server.returncode, rest) == (0, "")
    assert "Traceback" not in err
    assert read_header(journal).config.reliability == "hardened"


def _exp(token: str, keys: tuple[bytes, ...]) -> float:
    """The moment at which a token expires."""
    import jwt

    return float(jwt.decode(token, keys[0], algorithms=["HS256"])["exp"])
