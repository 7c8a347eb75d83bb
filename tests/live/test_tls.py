"""Invariant: a certificate either serves, or is refused in one sentence that says which file to mend."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chatsim.errors import UsageError
from chatsim.live.tls import chat_context, client_context, is_loopback, self_signed, server_context


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> str | None:
    """A whole TLS handshake in memory; the version that both agreed on."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname=host)
    far = server.wrap_bio(to_server, to_client, server_side=True)
    waiting = [near, far]
    for _ in range(10):
        for side in tuple(waiting):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(side)
    assert not waiting
    return near.version()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_a_self_signed_certificate_serves_loopback(host: str) -> None:
    with self_signed() as files:
        context = server_context(*files)
        assert shake_hands(context, client_context(files.cert), host) == "TLSv1.3"
        assert files.key.stat().st_mode & 0o077 == 0


def test_another_host_and_another_certificate_are_not_trusted() -> None:
    with self_signed() as files, self_signed() as others:
        context = server_context(*files)
        with pytest.raises(ssl.SSLCertVerificationError, match=r"[Hh]ostname"):
            shake_hands(context, client_context(files.cert), "chat.example")
        with pytest.raises(ssl.SSLCertVerificationError):
            shake_hands(context, client_context(others.cert), "127.0.0.1")


def test_tls_is_1_2_at_least() -> None:
    with self_signed() as files:
        assert server_context(*files).minimum_version is ssl.TLSVersion.TLSv1_2
        old = client_context(files.cert)
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_2
        assert shake_hands(server_context(*files), old, "localhost") == "TLSv1.2"


def test_a_client_cannot_shake_hands_again() -> None:
    with self_signed() as files:
        assert server_context(files.cert, files.key).options & ssl.OP_NO_RENEGOTIATION


def test_the_files_are_gone_afterwards() -> None:
    with self_signed() as files:
        assert files.cert.exists()
    assert not files.cert.parent.exists()


def test_wrong_files_are_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"password"),
        )
    )
    with self_signed() as files, self_signed() as others:
        wrong = [
            (tmp_path / "none.pem", files.key, "certificate .*none.pem cannot be read: No such file"),
            (files.cert, tmp_path / "none.pem", "key .*none.pem cannot be read: No such file"),
            (tmp_path, files.key, "cannot be read: Is a directory"),
            (broken, files.key, "broken.pem holds no certificate"),
            (files.key, files.key, "key.pem holds no certificate"),
            (files.cert, broken, "broken.pem holds no usable private key"),
            (files.cert, locked, "locked.pem holds no usable private key"),
            (files.cert, others.key, "does not belong to"),
        ]
        for cert, key, complaint in wrong:
            with pytest.raises(UsageError, match=complaint) as problem:
                server_context(cert, key)
            assert "\n" not in str(problem.value)


def test_a_chat_trusts_one_certificate_or_any_of_loopback(tmp_path: Path) -> None:
    assert chat_context("wss://h/ws", None, insecure=False) is None
    anybody = chat_context("wss://[::1]/ws", None, insecure=True)
    assert anybody is not None
    assert anybody.verify_mode is ssl.CERT_NONE
    with self_signed() as files:
        known = chat_context("wss://h/ws", files.cert, insecure=False)
        assert known is not None
        assert known.check_hostname
        with pytest.raises(UsageError, match="holds no certificate"):
            chat_context("wss://h/ws", files.key, insecure=False)
    with pytest.raises(UsageError, match="holds no certificate"):
        chat_context("wss://h/ws", tmp_path / "none", insecure=False)
    with pytest.raises(UsageError, match="loopback only"):
        chat_context("wss://example.org/ws", None, insecure=True)
    with pytest.raises(UsageError, match="exclude"):
        chat_context("wss://localhost/ws", tmp_path, insecure=True)


@pytest.mark.parametrize(
    ("host", "is_one"),
    [("localhost", True), ("127.0.0.9", True), ("::1", True), ("0.0.0.0", False), ("example.org", False), ("", False)],
)
def test_what_is_loopback(host: str, is_one: bool) -> None:
    assert is_loopback(host) is is_one
