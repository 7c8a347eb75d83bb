"""TLS of the server: certificates from files, or a self-signed one for loopback.

Decides what a good certificate and key are, and says what is wrong with others in one sentence.
Rule: TLS 1.2 at least; a self-signed certificate names loopback only, and its files go when its user is done.
"""

from __future__ import annotations

import ipaddress
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from chatsim.errors import UsageError

VALID_FOR = timedelta(days=30)
"""Longer than any run, shorter than a certificate worth stealing."""

CLOCK_SKEW = timedelta(hours=1)


class Files(NamedTuple):
    """A certificate and its private key, both in PEM."""

    cert: Path
    key: Path


@contextmanager
def self_signed() -> Iterator[Files]:
    """Files of a new certificate for 127.0.0.1, ::1 and localhost (EC P-256); they are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="chatsim-tls-") as folder:
        files = Files(Path(folder) / "cert.pem", Path(folder) / "key.pem")
        key = ec.generate_private_key(ec.SECP256R1())
        files.key.touch(mode=0o600)
        files.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        files.cert.write_bytes(_certificate(key).public_bytes(serialization.Encoding.PEM))
        yield files


def _certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "chatsim on loopback")])
    now = datetime.now(UTC)
    hosts = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
    ]
    public = key.public_key()
    usage = x509.KeyUsage(True, False, False, False, False, True, False, False, False)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + VALID_FOR)
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        # An authority that signs nothing but itself, so that a client may trust exactly this certificate.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def server_context(cert: Path, key: Path) -> ssl.SSLContext:
    """The server's side of TLS, from files in PEM; raises UsageError where they are missing, broken or no pair."""
    for what, path in (("certificate", cert), ("key", key)):
        try:
            path.read_bytes()
        except OSError as problem:
            raise UsageError(f"The TLS {what} {path} cannot be read: {problem.strerror}.") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Under TLS 1.2 a client might have us shake hands again and again, at ten times the cost that it has.
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        # An empty password instead of the question that OpenSSL would ask on the terminal.
        context.load_cert_chain(cert, key, password="")
    except (ssl.SSLError, ValueError, OSError) as problem:
        raise UsageError(_complaint(cert, key, problem)) from None
    return context


def _complaint(cert: Path, key: Path, problem: Exception) -> str:
    if getattr(problem, "reason", None) == "KEY_VALUES_MISMATCH":
        return f"The TLS key {key} does not belong to the certificate {cert}: give the pair that was made together."
    try:
        x509.load_pem_x509_certificates(cert.read_bytes())
    except ValueError:
        return f"{cert} holds no certificate in PEM: give the file that begins with BEGIN CERTIFICATE."
    return f"{key} holds no usable private key in PEM: give an unencrypted one that begins with BEGIN PRIVATE KEY."


def client_context(cert: Path) -> ssl.SSLContext:
    """The client's side of TLS that trusts this certificate and no other."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cert)
    return context


def chat_context(url: str, ca: Path | None, *, insecure: bool) -> ssl.SSLContext | None:
    """The client's side of TLS for a chat at `url`: None is the usual one. `ca` holds what to trust instead, in PEM.

    `insecure` trusts anybody, on loopback only. Raises UsageError for a file that is none, and for any other host.
    """
    if ca is not None and insecure:
        raise UsageError("To trust one certificate and to trust any exclude each other: say --ca or --insecure.")
    if ca is not None:
        try:
            return client_context(ca)
        except (ssl.SSLError, OSError):
            raise UsageError(f"{ca} holds no certificate in PEM that can be read.") from None
    if not insecure:
        return None
    if not is_loopback(urlsplit(url).hostname or ""):
        raise UsageError("Any certificate is trusted on loopback only: give the server's with --ca.")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def is_loopback(host: str) -> bool:
    """Whether this is an address, or the name, of this very machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
