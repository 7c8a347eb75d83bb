"""The server: one handler on one port, with WebSocket, HTTP and TLS, from its first line to its last.

Decides what is listened on, and how the server ends: it drains, waits for those who go, and drops who is left.
Rule: what a person got wrong is a UsageError before anything listens; tokens never reach a log.
The chat is left to the handler, bytes to the driver and the protocol, what to print to the command line.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import secrets
import signal
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
import uvloop

from chatsim.core.config import HandlerConfig
from chatsim.core.handler import ChatHandler
from chatsim.core.memory_log import MemoryLog
from chatsim.core.tokens import Keys, Minter, minter_of
from chatsim.errors import HarnessError, UsageError
from chatsim.journal.steps import Footer, Header, JournalWriter
from chatsim.live.access import AccessLog
from chatsim.live.collector import spared_collector
from chatsim.live.driver import Driver
from chatsim.live.events import tell
from chatsim.live.front import front_for
from chatsim.live.gate import Gate
from chatsim.live.http import Routes
from chatsim.live.log import Log
from chatsim.live.metrics import scrape
from chatsim.live.notes import written_to
from chatsim.live.outlets import CLOSE_TIMEOUT_S
from chatsim.live.protocol import HANDSHAKE_TIMEOUT_S, protocol_for
from chatsim.live.speed import SpeedProbe
from chatsim.live.sqlite_log import PRUNE_S, SqliteLog
from chatsim.live.stalls import StallWatch
from chatsim.live.tls import is_loopback, self_signed, server_context

DRAIN_S_MAX = 26.0
"""How long draining may take; with `END_S_MAX` and what the log takes at its end it keeps the hard stop of 30 s
(protocol.md, section 3)."""

CLOSE_TIMEOUT_S_MIN = 0.25
"""However fast a server is played, its peers have at least this to answer a close: their machines are as they are."""

PORT_MAX = 65_535

BACKLOG = 2048
"""Connections that may wait to be accepted."""

UNSENT_BYTES_MAX = 64 * 1024
"""What the kernel may hold of one connection beyond what it has sent."""

PRUNE_S_MIN, PRUNES = 1.0, 10
"""How often what is older than `history_for` is removed: every tenth of it, but within a second and `PRUNE_S`."""

END_S_MAX = 1
"""How long requests under way may take after that, in whole seconds, as uvicorn wants it."""


class ServerSettings(msgspec.Struct, kw_only=True):
    """What one server is told. Durations of `config` are multiplied by `time_scale`, and so is its patience with those
    who are to go; `seed` None takes a new one.

    `keys` are one or two secrets or keys in PEM; `signing_key` (secret or private key) lets the admin route make
    tokens, and defaults to the first key where that can sign. `port` 0 takes a free one. `journal` is a new file for
    every input and effect. `data` is the folder of the log that lasts; None keeps everything in memory.
    `log` is one of the caller's own instead of both. Who has sent no whole request `handshake_timeout_s` after the
    accept, the TLS handshake included, is dropped; `time_scale` leaves that as it is. `clock_ahead_s` is how far its
    wall clock is ahead of the machine's; who says it, be it 0, lets the admin key set it further (None: nobody can).
    `stalls` is a file for when the machine did not run this process, `speed` one for how fast it was.
    """

    host: str = "127.0.0.1"
    port: int = 0
    config: HandlerConfig = msgspec.field(default_factory=HandlerConfig)
    keys: tuple[bytes, ...] = ()
    signing_key: bytes | None = None
    admin_key: bytes | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_self_signed: bool = False
    insecure: bool = False
    journal: Path | None = None
    data: Path | None = None
    log: Log | None = None
    handshake_timeout_s: float = HANDSHAKE_TIMEOUT_S
    time_scale: float = 1.0
    seed: int | None = None
    clock_ahead_s: float | None = None
    stalls: Path | None = None
    speed: Path | None = None

    @property
    def close_timeout_s(self) -> float:
        """How long a closing connection may take (protocol.md, section 3), as this server is played."""
        scaled_s = CLOSE_TIMEOUT_S * self.time_scale
        return max(scaled_s, min(CLOSE_TIMEOUT_S, CLOSE_TIMEOUT_S_MIN))

    @property
    def drain_s_max(self) -> float:
        """How long draining may take, as this server is played."""
        return DRAIN_S_MAX * self.time_scale

    def minter(self) -> Minter | None:
        """Makes tokens that this server takes; None where it has only a public key, which checks those of others."""
        return minter_of(self.signing_key or self.keys[0], self.config)


class _Server(uvicorn.Server):
    """uvicorn's server, told apart in three things: who listens for signals, who hears that it listens, and how long a
    TLS handshake may take."""

    def __init__(
        self, config: uvicorn.Config, started: Callable[[], None], patience_s: float, close_timeout_s: float
    ) -> None:
        super().__init__(config)
        self._close_timeout_s = close_timeout_s
        self._started = started
        self._patience_s = patience_s

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the command line's: it sets `stop`."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen. uvicorn's own way leaves a TLS handshake a minute, and who stalls in ending one half of that."""
        await self.lifespan.startup()
        config = self.config
        kind: Any = config.http_protocol_class
        make = partial(kind, config, self.server_state, self.lifespan.state)
        spans = {"ssl_handshake_timeout": self._patience_s, "ssl_shutdown_timeout": self._close_timeout_s}
        create_server: Any = asyncio.get_running_loop().create_server
        self.servers = [
            await create_server(make, sock=listener, ssl=config.ssl, backlog=BACKLOG, **(spans if config.ssl else {}))
            for listener in sockets or ()
        ]
        self.started = True
        self._started()


def run(settings: ServerSettings, *, ready: Callable[[str], None], held: bool = False) -> dict[str, Any]:
    """`serve` on a new uvloop until SIGTERM or SIGINT, and one that is `held` by a pipe at stdin until nobody holds the
    other end; returns the driver's statistics."""

    async def until_told() -> dict[str, Any]:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        if held:
            _when_let_go(loop, stop.set)
        return await serve(settings, ready=ready, stop=stop)

    with (
        _every_descriptor(),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        spared_collector(runner.get_loop().call_soon_threadsafe),
    ):
        return runner.run(until_told())


def _when_let_go(loop: asyncio.AbstractEventLoop, action: Callable[[], None]) -> None:
    """Do it when stdin ends: who is killed can tell nobody, and the system closes what she held."""
    stdin = 0

    def look() -> None:
        if not os.read(stdin, 4096):
            loop.remove_reader(stdin)
            action()

    loop.add_reader(stdin, look)


@contextlib.contextmanager
def _every_descriptor() -> Iterator[None]:
    """Have this process use all the descriptors that it is granted: with the usual 1,024 a thousand silent sockets
    would keep everybody out until they are dropped."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Some systems grant no end of them and then refuse the number: what was good enough before has to be then.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def serve(settings: ServerSettings, *, ready: Callable[[str], None], stop: asyncio.Event) -> dict[str, Any]:
    """Serve until `stop` is set, then drain and end within 30 s; returns the driver's statistics.

    `ready` is called once with the base URL (`http://` or `https://`, with the real port) as soon as it listens.
    Raises UsageError for what a person can mend: keys, certificate, a port in use, plain text on an open address.
    Raises HarnessError, at the end, where the log could not be written and so forgets what it was told.
    """
    with contextlib.ExitStack() as stack:
        context = _tls(settings, stack)
        if context is None and not settings.insecure and not is_loopback(settings.host):
            raise UsageError(
                f"Plain text on {settings.host} could be read by others: give a TLS certificate and key, listen on "
                "127.0.0.1, or say --insecure."
            )
        config = settings.config if settings.time_scale == 1.0 else settings.config.scaled(settings.time_scale)
        keys = Keys(settings.keys, config.algorithms)
        listener = stack.enter_context(_listen(settings.host, settings.port))
        seed = secrets.randbits(63) if settings.seed is None else settings.seed
        handler, driver = await _drive(settings, config, seed, stack)
        gate = Gate(driver, keys, config, seed=seed)
        metrics = partial(scrape, handler, driver, gate)
        routes = Routes(gate, admin_key=settings.admin_key, minter=settings.minter(), metrics=metrics)
        app = routes.app(clock=settings.clock_ahead_s is not None)
        url = _url(settings.host, listener, context is not None)
        logged = AccessLog(app, asyncio.get_running_loop().time)
        patience_s = settings.handshake_timeout_s
        made = uvicorn_config(logged, gate, context, patience_s)
        if settings.stalls is not None:
            told = written_to(stack.enter_context(settings.stalls.open("w", encoding="ascii")))
            stack.callback(StallWatch(asyncio.get_running_loop(), told).end)
        if settings.speed is not None:
            told = written_to(stack.enter_context(settings.speed.open("w", encoding="ascii")))
            stack.callback(SpeedProbe(asyncio.get_running_loop(), told).end)
        server = _Server(made, lambda: _listens(url, ready), patience_s, settings.close_timeout_s)
        await _until(server, listener, driver, stop, settings.drain_s_max)
        tell(logging.INFO, "ended", **driver.counts())
        return driver.statistics()


def _listens(url: str, ready: Callable[[str], None]) -> None:
    tell(logging.INFO, "listening", url=url)
    ready(url)


async def _drive(
    settings: ServerSettings, config: HandlerConfig, seed: int, stack: contextlib.ExitStack
) -> tuple[ChatHandler, Driver]:
    """The handler and its driver, journaled if asked for."""
    # The loop's time is that of its last turn: a new turn makes it and the wall clock speak of the same moment.
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    epoch = time.time() + (settings.clock_ahead_s or 0.0)
    lasting = None
    if settings.data is not None:
        lasting = SqliteLog(settings.data, answer_in=loop.call_soon_threadsafe, rate_window_s=config.rate_window_s)
        stack.callback(_close, lasting)
    snapshot = None if lasting is None else lasting.snapshot(config, epoch)
    # Whatever the log has forgotten: a position of another life must not be taken for one of this.
    first_epoch = max(int(epoch), 0 if lasting is None else lasting.newest_epoch() + 1)
    writer = None
    if settings.journal is not None:
        header = Header(
            config=config, epoch=epoch, seed=seed, clock_at=loop.time(), snapshot=snapshot, first_epoch=first_epoch
        )
        writer = _journal(settings.journal, header)
    handler = ChatHandler(config, epoch=epoch, seed=seed, snapshot=snapshot, first_epoch=first_epoch)
    pruned = lasting or MemoryLog(
        epoch=first_epoch,
        history_messages=config.history_messages,
        history_messages_max=config.history_messages_max,
        history_for_s=config.history_for_s,
    )
    log: Log = settings.log or pruned
    life = 0 if lasting is None else lasting.life
    driver = Driver(
        handler,
        log,
        loop=loop,
        epoch=epoch,
        journal=writer,
        life=life,
        close_timeout_s=settings.close_timeout_s,
        outbound_frames=config.outbound_frames,
        outbound_bytes=config.outbound_bytes,
    )
    driver.watch_lag()
    if lasting is not None:
        lasting.start(driver.logged)
    if log is pruned:
        stack.callback(_prune(pruned, driver, config).cancel)

    def end() -> None:
        driver.close()
        if writer is not None:
            writer.close(Footer(loop_lag_s=driver.statistics()["loop_lag_s"], open=tuple(driver.open())))

    stack.callback(end)
    return handler, driver


def _close(log: SqliteLog) -> None:
    """End the log. Raises HarnessError, when all is told, where facts are lost because it could not be written."""
    lost = log.close()
    if not lost:
        return
    tell(logging.ERROR, "facts lost", **Counter(type(fact).__name__.lower() for fact in lost))
    raise HarnessError(
        f"The log could not be written at the end, and {len(lost)} facts are lost (revocations, sessions, who takes "
        "part, who has what): free the disk, or end what holds the file."
    )


def _journal(path: Path, header: Header) -> JournalWriter:
    """The writer of a new journal; raises UsageError where there is one already, or none can be."""
    try:
        return JournalWriter(path, header)
    except HarnessError as problem:
        raise UsageError(f"{str(problem).removesuffix('.')}: name a new file with --journal.") from problem


class _Repeat:
    """Something that is done at once and then every so often, until it is cancelled."""

    def __init__(self, loop: asyncio.AbstractEventLoop, every_s: float, action: Callable[[], None]) -> None:
        self._loop = loop
        self._every_s = every_s
        self._action = action
        self._timer = loop.call_soon(self._ring)

    def _ring(self) -> None:
        self._action()
        self._timer = self._loop.call_later(self._every_s, self._ring)

    def cancel(self) -> None:
        """Never again."""
        self._timer.cancel()


def _prune(log: SqliteLog | MemoryLog, driver: Driver, config: HandlerConfig) -> _Repeat:
    """Have messages older than `history_for` removed from now on."""
    every_s = min(PRUNE_S, max(PRUNE_S_MIN, config.history_for_s / PRUNES))
    return _Repeat(driver.loop, every_s, lambda: log.prune(driver.wall() - config.history_for_s))


async def _until(
    server: _Server, listener: socket.socket, driver: Driver, stop: asyncio.Event, drain_s_max: float
) -> None:
    """Run uvicorn's server, and end it in good order, draining for so long at most, once `stop` is set."""
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="the server")
    stopping = asyncio.create_task(stop.wait(), name="the order to stop")
    try:
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        tell(logging.INFO, "draining", connections=driver.connections())
        driver.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(drain_s_max):
                await driver.empty.wait()
        driver.abort()
    finally:
        stopping.cancel()
        server.should_exit = True
        await serving


def _tls(settings: ServerSettings, stack: contextlib.ExitStack) -> ssl.SSLContext | None:
    if settings.tls_self_signed:
        if settings.tls_cert is not None or settings.tls_key is not None:
            raise UsageError("A self-signed certificate and one from a file exclude each other: give one of them.")
        return server_context(*stack.enter_context(self_signed()))
    if settings.tls_cert is None and settings.tls_key is None:
        return None
    if settings.tls_cert is None or settings.tls_key is None:
        raise UsageError("TLS needs a certificate and its key: give both files.")
    return server_context(settings.tls_cert, settings.tls_key)


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises UsageError where the address is taken, forbidden or unknown."""
    if not 0 <= port <= PORT_MAX:
        raise UsageError(f"{port} is no port: give one from 0 (any free one) to {PORT_MAX}.")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(address, family=family, backlog=BACKLOG)
    except socket.gaierror:
        raise UsageError(f"The host {host} is not known here: give an address of this machine.") from None
    except OSError as problem:
        raise UsageError(
            f"Cannot listen on {host} port {port} ({problem.strerror}): give another port, or stop what uses it."
        ) from None
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        # Every connection inherits it: what a reader does not take waits with us, where it is counted, and not unseen
        # in the kernel, which would swallow megabytes.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES_MAX)
    return listener


def _url(host: str, listener: socket.socket, tls: bool) -> str:
    port = listener.getsockname()[1]
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def uvicorn_config(app: Any, gate: Gate, context: ssl.SSLContext | None, patience_s: float) -> uvicorn.Config:
    """uvicorn's settings: our protocol for WebSockets, and our access log; its loggers are as `events` sets them."""
    config = uvicorn.Config(
        app,
        http=front_for(patience_s),
        ws=protocol_for(gate),
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=END_S_MAX,
    )
    config.load()
    config.ssl = context
    return config
