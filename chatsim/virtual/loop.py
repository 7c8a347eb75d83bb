"""An asyncio event loop whose clock is virtual and whose network is memory.

Decides when time passes: only when nothing is ready, and then at once to the next timer. Rule: the same callbacks in
the same order every time; a loop that waits for nothing that can come says who waits, and does not hang.
There are no threads and no sockets in it: what comes from another thread would come at no moment of this clock.
What bytes do on their way is left to `chatsim.virtual.transport`.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Mapping
from contextvars import Context
from heapq import heappop, heappush
from itertools import count
from math import ulp
from typing import Any, TypeVarTuple

from chatsim.errors import HarnessError
from chatsim.virtual.ties import Lanes, owner_of
from chatsim.virtual.transport import MemoryServer, MemoryTransport

Args = TypeVarTuple("Args")

ROUNDING_S = 1e-6
"""A sum of waits may miss the moment it was meant for by less than this: the clock then shows the moment itself."""

UNNAMED = "Task-"
"""How asyncio begins the name of a task that was given none."""

WAITING_NAMED_MAX = 8
"""So many of those who wait are named where nothing can happen any more."""


def _name(task: asyncio.Task[Any]) -> str:
    """Who the task is: the name that it was given, or what it does where somebody else has made it without one."""
    name = task.get_name()
    if not name.startswith(UNNAMED):
        return name
    return getattr(task.get_coro(), "__qualname__", name)


class DeadlockError(HarnessError):
    """Somebody waits, and nothing can happen any more."""


class _Idle(selectors.BaseSelector):
    """What the loop does when nothing is ready: no file is ever, so it passes the time."""

    def __init__(self, advance: Callable[[float | None], None]) -> None:
        self._advance = advance
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Note a file that will never be ready: the loop has one to be woken through by threads."""
        number = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        key = self._keys[fileobj] = selectors.SelectorKey(fileobj, number, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Forget the file."""
        return self._keys.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Let `timeout` seconds pass on the loop's clock (None: there is nothing to wait for)."""
        if timeout is None or timeout > 0:
            self._advance(timeout)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """The files that were registered."""
        return self._keys


class _Timer(asyncio.TimerHandle):
    """A timer that knows its turn: asyncio leaves the order of those of one moment to its heap."""

    __slots__ = ("turn",)
    turn: int

    def __lt__(self, other: object) -> bool:
        assert isinstance(other, _Timer)
        return (self.when(), self.turn) < (other.when(), other.turn)


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` is in virtual seconds from 0; servers and connections made here are of this loop alone.

    `on_settled` is called whenever all of a moment is done, and time is about to pass.
    """

    def __init__(self, ties: int | None = None) -> None:
        """`ties` is the seed of the order in which timers of one moment ring, as far as they have different owners
        (None: the order in which they were asked for)."""
        self._lanes = None if ties is None else Lanes(ties)
        self._now = 0.0
        self._moments: list[float] = []
        self._turns = 0
        self._listeners: dict[int, MemoryServer] = {}
        self._ports = count(1)
        self.on_settled: Callable[[], object] = lambda: None
        super().__init__(_Idle(self._advance))

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    @property
    def _clock_resolution(self) -> float:
        """What asyncio takes for the same moment as now: nothing but this moment itself."""
        return ulp(self._now)

    @_clock_resolution.setter
    def _clock_resolution(self, value: float) -> None:
        """asyncio's own, which is that of the wall clock."""

    def call_at(
        self, when: float, callback: Callable[[*Args], object], *args: *Args, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As every loop's, and the clock will show `when` itself, no sum that comes near it. Timers of one moment ring
        in the order in which they were asked for, unless `ties` decide."""
        heappush(self._moments, when)
        timer = _Timer(when, callback, args, self, context)
        self._turns += 1
        timer.turn = self._turns if self._lanes is None else self._lanes.turn(owner_of(callback), self._turns)
        heappush(self._scheduled, timer)  # type: ignore[attr-defined]
        timer._scheduled = True  # type: ignore[attr-defined]
        return timer

    def _advance(self, timeout_s: float | None) -> None:
        if timeout_s is None:
            names = sorted(map(_name, asyncio.all_tasks(self)))
            more = f" and {len(names) - WAITING_NAMED_MAX} more" if len(names) > WAITING_NAMED_MAX else ""
            raise DeadlockError(
                f"Nothing can happen any more at {self._now:g} s, and these wait: "
                f"{', '.join(names[:WAITING_NAMED_MAX]) or 'nobody'}{more}."
            )
        self.on_settled()
        until, moments = self._now + timeout_s, self._moments
        while moments and moments[0] <= self._now:
            heappop(moments)
        # What lies between belongs to timers that were cancelled.
        while moments and moments[0] < until - ROUNDING_S:
            heappop(moments)
        self._now = moments[0] if moments and moments[0] <= until + ROUNDING_S else until

    # The network.

    def listen(self, factory: Callable[[], asyncio.BaseProtocol], port: int = 0) -> MemoryServer:
        """Listen on a port of this loop (0: a free one); `factory` makes the protocol of each connection.

        Raises OSError where the port is in use.
        """
        number = port or next(free for free in self._ports if free not in self._listeners)
        if number in self._listeners:
            raise OSError(f"port {number} is in use")
        server = self._listeners[number] = MemoryServer(number, factory, self._listeners)
        return server

    async def create_server(  # type: ignore[override]
        self, protocol_factory: Callable[[], asyncio.BaseProtocol], host: Any = None, port: Any = None, **_: Any
    ) -> MemoryServer:
        """`listen`, whatever the host; TLS is not played."""
        return self.listen(protocol_factory, port or 0)

    async def create_connection(  # type: ignore[override]
        self, protocol_factory: Callable[[], asyncio.BaseProtocol], host: Any = None, port: Any = None, **_: Any
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """Connect to a port of this loop, whatever the host; TLS is not played.

        Raises ConnectionRefusedError where nobody listens.
        """
        server = self._listeners.get(port)
        if server is None:
            raise ConnectionRefusedError(f"nobody listens on port {port}")
        protocol = protocol_factory()
        here, there = MemoryTransport.pair(self, protocol, server.factory(), port)
        server.accepted(there)
        there.get_protocol().connection_made(there)
        protocol.connection_made(here)
        return here, protocol
