"""One connection to a server that somebody else runs, before anybody else comes: whether there is any use in it.

Decides why not, in one sentence with the cure. Rule: no load goes to a server that does not greet; what is wrong with
the address, the key or the certificate is the user's to put right (exit code 3), a server that is not there or does not
speak the protocol is not (4).
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

from chatsim.core.frames import UNREADABLE, Welcome, decode_server
from chatsim.errors import TargetError
from chatsim.live.calendar import Calendar
from chatsim.live.peer import Peer
from chatsim.live.target import Target
from chatsim.network.link import Link

KNOCK_S_MAX: Final = 15.0
"""From the dial to the server's first frame."""

_WRONG, _BROKEN = 3, 4
_REFUSED: Final = (401, 403)


class _Ears:
    """Waits for the welcome of one connection, or the reason why there is none."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.greeted: asyncio.Future[Welcome] = asyncio.get_running_loop().create_future()

    def give_up(self, text: str, code: int) -> None:
        """There will be no welcome."""
        if not self.greeted.done():
            self.greeted.set_exception(TargetError(text, code))

    def opened(self, now: float, peer: Peer[None]) -> None:
        """The server speaks first."""

    def pinged(self, now: float, peer: Peer[None]) -> None:
        """Answered already."""

    def text(self, now: float, peer: Peer[None], data: bytes) -> None:
        """The first frame says who is there."""
        if self.greeted.done():
            return
        try:
            frame = decode_server(data)
        except UNREADABLE as problem:
            self.give_up(
                f"{self._target.shown} does not speak chatsim.v1: its first frame is none ({problem})", _BROKEN
            )
            return
        if isinstance(frame, Welcome):
            self.greeted.set_result(frame)
        else:
            self._stranger("its first frame is no welcome")

    def _stranger(self, why: str) -> None:
        self.give_up(f"{self._target.shown} does not speak chatsim.v1: {why}", _BROKEN)

    def refused(self, now: float, peer: Peer[None], status: int, retry_after_s: float | None) -> None:
        """No handshake: why, and what can be done."""
        self.give_up(*_why(self._target, status, peer.error))

    def closed(self, now: float, peer: Peer[None], code: int) -> None:
        """It was taken, and ended before the welcome."""
        reason = peer.reason or "no reason was given"
        self.give_up(f"{self._target.shown} took a connection and closed it with {code} ({reason})", _BROKEN)


def _why(target: Target, status: int, error: str) -> tuple[str, int]:
    """The sentence and the exit code for the HTTP status of a refused handshake (0: there was no answer)."""
    shown = target.shown
    said = f"{status} {error}".strip()
    if status in _REFUSED:
        return (
            f"{shown} refuses every handshake with tokens of this key ({said}): give the key that it checks with "
            "(--secret-file or --key-file), and its --audience and --issuer",
            _WRONG,
        )
    if status == 0:
        return f"{shown} took the connection and did not answer: name the address of a WebSocket server", _BROKEN
    if status in (429, 503):
        return f"{shown} takes nobody in now ({said}): try again later", _BROKEN
    return f"{shown} is no chat server: it answers {said}: name the path too, such as /ws", _WRONG


def _no_tls(target: Target, why: str) -> str:
    return f"{target.shown} speaks no TLS ({why}): name it with ws:// if it has none"


async def knock(target: Target, token: str) -> Welcome:
    """What the server says to who comes with this token. Raises TargetError where it says no welcome."""
    loop = asyncio.get_running_loop()
    calendar = Calendar(loop, sampled=False)
    ears = _Ears(target)
    peer: Peer[None] = Peer(ears, calendar, None, target.url, token, (Link(), Link()))
    calendar.begin()
    try:
        async with asyncio.timeout(KNOCK_S_MAX):
            await loop.create_connection(lambda: peer, target.host, target.port, ssl=target.tls)
            welcome = await ears.greeted
        peer.close(1000)
        return welcome
    except ssl.SSLCertVerificationError as problem:
        raise TargetError(
            f"The certificate of {target.shown} is not trusted ({problem.verify_message}): "
            "give the authority that signed it with --ca-file",
            _WRONG,
        ) from None
    except ssl.SSLError as problem:
        raise TargetError(_no_tls(target, f"{problem.reason}"), _WRONG) from None
    except TimeoutError:
        raise TargetError(
            f"{target.shown} did not answer within {KNOCK_S_MAX:g} s: start it, or name another address", _BROKEN
        ) from None
    except OSError as problem:
        # Where nobody listens, it is refused instead.
        if target.tls is not None and isinstance(problem, ConnectionResetError):
            raise TargetError(_no_tls(target, "it hangs up"), _WRONG) from None
        why = problem.strerror or f"{problem}" or type(problem).__name__
        raise TargetError(
            f"{target.shown} cannot be reached ({why}): start it, or name another address", _BROKEN
        ) from None
    finally:
        # The close is written by now; whoever does not answer it is not waited for.
        await asyncio.sleep(0)
        calendar.stop()
        peer.abort()
        if ears.greeted.done() and not ears.greeted.cancelled():
            ears.greeted.exception()
