"""A way to the server that a test can cut: bytes pass both ways, until they do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Relay:
    """A port of loopback that leads to another one."""

    def __init__(self, port: int) -> None:
        self.through = True
        self.passed = 0
        self.url = ""
        self._port = port
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Every connection breaks, without a word of WebSocket."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its beginning to its end."""
        if not self.through:
            writer.transport.abort()
            return
        self.passed += 1
        behind, ahead = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers |= {writer, ahead}
        await asyncio.gather(_pump(reader, ahead), _pump(behind, writer))
        self._writers -= {writer, ahead}


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
    sink.close()
    with suppress(OSError):
        await sink.wait_closed()


@asynccontextmanager
async def relay(port: int) -> AsyncIterator[Relay]:
    """A relay to this port, gone afterwards."""
    made = Relay(port)
    server = await asyncio.start_server(made.accept, "127.0.0.1", 0)
    made.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"
    try:
        yield made
    finally:
        server.close()
        made.cut()
