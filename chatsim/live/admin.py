"""What an operator does to the server under test: tokens revoked with the admin key, metrics read, over HTTP.

Decides how the order travels: on a connection of its own, one request after the other. Rule: a server that does not
take the order is a fault of the harness, and the key is in no text. Whose tokens they are is the caller's affair.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import Sequence
from urllib.parse import quote, urlsplit

import msgspec

from chatsim.errors import HarnessError
from chatsim.people.strikes import Ending, Opening, Order, Posting, Removal, Revocation

ADMIN_S_MAX = 10.0
"""How long one order may take, however many tokens it names."""

_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d{1,4})\r\n")
_DONE, _FOUND = b"HTTP/1.1 204", b"HTTP/1.1 200"
_FOLLOWED = (b"HTTP/1.1 202", _DONE)
_NOT_TO_BE_FOLLOWED = (b"HTTP/1.1 404", b"HTTP/1.1 409", b"HTTP/1.1 503")
_QUOTED_MAX = 100


class Admin:
    """Somebody with the admin key of the server at `url` (`ws://` or `wss://` with host and port)."""

    def __init__(self, url: str, key: bytes, tls: ssl.SSLContext | None = None) -> None:
        """`tls` is the context that trusts the server, None for plain text."""
        address = urlsplit(url)
        assert address.hostname is not None
        assert address.port is not None
        self._host, self._port = address.hostname, address.port
        self._tls = tls
        host = f"[{self._host}]" if ":" in self._host else self._host
        self._scrape = f"GET /metrics HTTP/1.1\r\nHost: {host}:{self._port}\r\nConnection: close\r\n\r\n".encode()
        self._head = (
            f" HTTP/1.1\r\nHost: {host}:{self._port}\r\nAuthorization: Bearer {key.decode('ascii')}\r\n\r\n".encode()
        )

    async def revoke(self, jtis: Sequence[str]) -> None:
        """`DELETE /api/tokens/{jti}` for each, in this order (protocol.md, section 4).

        Raises HarnessError where the server does not answer 204, or not in time.
        """
        if not jtis:
            return
        try:
            async with asyncio.timeout(ADMIN_S_MAX):
                await self._revoke(jtis)
        except (OSError, TimeoutError, EOFError, asyncio.LimitOverrunError) as problem:
            raise HarnessError(f"The server did not take the order to revoke tokens: {problem!r}.") from problem

    async def give(self, order: Order) -> bool:
        """The order as a request of section 4 of protocol.md; returns whether it was followed.

        One that cannot be (there is no such session or participant, no room, or the server ended on the way) is no
        fault of anybody's. Raises HarnessError where the server answers what it should not.
        """
        method, path, body = _request(order)
        head = self._head.removesuffix(b"\r\n") + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
        try:
            async with asyncio.timeout(ADMIN_S_MAX):
                reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
                try:
                    writer.write(method + b" " + path + head + body)
                    said = (await reader.readuntil(_END)).partition(b"\r\n")[0]
                finally:
                    writer.close()
                    with contextlib.suppress(OSError):
                        await writer.wait_closed()
        except (OSError, TimeoutError, EOFError):
            return False
        if said.startswith(_FOLLOWED):
            return True
        if not said.startswith(_NOT_TO_BE_FOLLOWED):
            text = said.decode("ascii", "replace")[:_QUOTED_MAX]
            raise HarnessError(f"The server answered {text!r} to {method.decode()} {path.decode()}.")
        return False

    async def scrape(self) -> bytes:
        """What `GET /metrics` answers. Raises HarnessError where the server does not answer 200, or not in time."""
        try:
            async with asyncio.timeout(ADMIN_S_MAX):
                reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
                try:
                    writer.write(self._scrape)
                    head, _, body = (await reader.read(-1)).partition(_END)
                finally:
                    writer.close()
                    with contextlib.suppress(OSError):
                        await writer.wait_closed()
        except (OSError, TimeoutError) as problem:
            raise HarnessError(f"The server did not tell its metrics: {problem!r}.") from problem
        if not head.startswith(_FOUND):
            text = head.partition(b"\r\n")[0].decode("ascii", "replace")[:_QUOTED_MAX]
            raise HarnessError(f"The server answered {text!r} to a scrape of its metrics.")
        return body

    async def clock_jump(self, by_s: float) -> None:
        """Set the server's wall clock so far ahead (back, if negative), where it lets itself be set.

        Raises HarnessError where the server does not answer 204, or not in time.
        """
        body = f'{{"by_s":{by_s!r}}}'.encode()
        head = self._head.removesuffix(b"\r\n") + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
        try:
            async with asyncio.timeout(ADMIN_S_MAX):
                reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
                try:
                    writer.write(b"POST /api/clock" + head + body)
                    said = (await reader.readuntil(_END)).partition(b"\r\n")[0]
                finally:
                    writer.close()
                    with contextlib.suppress(OSError):
                        await writer.wait_closed()
        except (OSError, TimeoutError, EOFError, asyncio.LimitOverrunError) as problem:
            raise HarnessError(f"The server did not take the order to set its clock: {problem!r}.") from problem
        if not said.startswith(_DONE):
            text = said.decode("ascii", "replace")[:_QUOTED_MAX]
            raise HarnessError(f"The server answered {text!r} to the order to set its clock.")

    async def _revoke(self, jtis: Sequence[str]) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
        try:
            for jti in jtis:
                writer.write(b"DELETE /api/tokens/" + quote(jti, safe="").encode() + self._head)
                # An answer of 204 has no body, so the next one begins where its head ends.
                head = await reader.readuntil(_END)
                said = head.partition(b"\r\n")[0]
                if not said.startswith(_DONE) and not await _in_force(head, reader):
                    text = said.decode("ascii", "replace")[:_QUOTED_MAX]
                    raise HarnessError(f"The server answered {text!r} to the order to revoke a token.")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def _request(order: Order) -> tuple[bytes, bytes, bytes]:
    """Method, path and body."""
    assert not isinstance(order, Opening), "a server names the sessions that are opened there itself"
    if isinstance(order, Posting):
        return b"POST", b"/api/users/" + _quoted(order.user) + b"/messages", b'{"body":' + bytes(order.body) + b"}"
    if isinstance(order, Revocation):
        return b"DELETE", b"/api/users/" + _quoted(order.user) + b"/tokens", b""
    session = b"/api/sessions/" + _quoted(order.session)
    if isinstance(order, Ending):
        return b"DELETE", session, b""
    people = session + b"/participants"
    if isinstance(order, Removal):
        return b"DELETE", people + b"/" + _quoted(order.user), b""
    return b"POST", people, msgspec.json.encode({"user": order.user})


def _quoted(name: str) -> bytes:
    return quote(name, safe="").encode()


async def _in_force(head: bytes, reader: asyncio.StreamReader) -> bool:
    """Whether a server that did not say 204 has revoked the token all the same: its log is held, and stores it later.

    Such a server has read on, so that its answer has to be read to its end.
    """
    length = _LENGTH.search(head)
    if not head.startswith(b"HTTP/1.1 503 ") or length is None:
        return False
    return b'"error":"unavailable"' in await reader.readexactly(int(length[1]))
