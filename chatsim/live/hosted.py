"""A live server in a thread of its own, for tests: plain ones, and async ones on whatever loop.

Decides which keys it has and how its URLs are made. Rule: it listens on a free port of loopback from the first line of
the block to the last, and what it could not start with is raised there; nothing of it is left afterwards. Serving is
the server's.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import uvloop

from chatsim.core.config import HandlerConfig
from chatsim.errors import HarnessError
from chatsim.live.server import ServerSettings, serve
from chatsim.live.tls import self_signed

START_S_MAX = 30.0
TOKEN_TTL_S = 3600.0
SESSION = "lobby"


class Hosted:
    """A server that listens. `url` is that of its WebSockets, `http` the base of its routes, both without a token;
    `admin_key` opens the admin routes. With TLS `trust` is the context that knows its certificate, the file `ca`."""

    def __init__(self, http: str, secret: bytes, admin_key: str, ca: Path | None) -> None:
        self.http = http
        self.url = f"ws{http.removeprefix('http')}/ws"
        self.admin_key = admin_key
        self.ca = ca
        self.trust = None if ca is None else ssl.create_default_context(cafile=str(ca))
        self._secret = secret
        self._settings = ServerSettings(keys=(secret,))

    def token(self, user: str, *sessions: str, ttl_s: float = TOKEN_TTL_S) -> str:
        """A token of the user that may join these sessions (`lobby` where none is named) and ends in `ttl_s`
        seconds."""
        minter = self._settings.minter()
        assert minter is not None, "a shared secret signs"
        allowed = sessions or (SESSION,)
        return minter.mint(user, ttl_s, wall=time.time(), jti=secrets.token_hex(8), sessions=allowed)

    def url_of(self, user: str, *sessions: str, ttl_s: float = TOKEN_TTL_S) -> str:
        """The URL with such a token in it."""
        return f"{self.url}?token={self.token(user, *sessions, ttl_s=ttl_s)}"


@contextmanager
def hosted(config: HandlerConfig | None = None, *, tls: bool = False, **settings: Any) -> Iterator[Hosted]:
    """A server with this configuration, which checks tokens with a secret of its own (HS256), for the block.

    `settings` are further ones of `ServerSettings`. Raises UsageError where it cannot be started so. Its log is in
    memory unless `data` names a folder. Clients that are still there at the end are told to go.
    """
    secret, admin_key = secrets.token_urlsafe(48).encode("ascii"), secrets.token_urlsafe(24)
    with ExitStack() as stack:
        files = stack.enter_context(self_signed()) if tls else None
        told: dict[str, Any] = {"keys": (secret,), "admin_key": admin_key.encode("ascii")}
        if files is not None:
            told |= {"tls_cert": files.cert, "tls_key": files.key}
        thread = _Thread(ServerSettings(config=config or HandlerConfig(), **told | settings))
        thread.start()
        stack.callback(thread.end)
        yield Hosted(thread.http(), secret, admin_key, None if files is None else files.cert)


class _Thread:
    """The server's thread and its event loop."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._listens: Future[str] = Future()
        self._unwanted = threading.Event()
        self._stop: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._thread = threading.Thread(target=self._run, name="chatsim-hosted", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def http(self) -> str:
        """The base URL, as soon as it listens; raises what kept it from that."""
        return self._listens.result(timeout=START_S_MAX)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:  # Whoever waits for it is to have it, whatever it is.
            if not self._listens.done():
                self._listens.set_exception(error)
        finally:
            if not self._listens.done():
                self._listens.set_exception(HarnessError("The server ended before it listened."))

    async def _serve(self) -> None:
        stop = asyncio.Event()
        self._stop = (asyncio.get_running_loop(), stop)
        # In this order: whoever ends it meanwhile either finds the event, or is seen here.
        if self._unwanted.is_set():
            return
        await serve(self._settings, ready=self._listens.set_result, stop=stop)

    def end(self) -> None:
        """Have it end, and wait for that."""
        self._unwanted.set()
        if self._stop is not None:
            loop, stop = self._stop
            # Where its loop is closed, it has ended by itself.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(stop.set)
        self._thread.join()
