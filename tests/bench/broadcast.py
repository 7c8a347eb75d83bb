"""The other side of the live bench: a room server of `websockets.broadcast` with none of a chat backend's duties.

Decides nothing: what comes in goes to the room's other connections, and that is all. Rule: as fast as the library's
documented interface allows (uvloop, no compression, no pings), so that nobody can say that it was made slow.
The room is the request's path; no tokens, no ids, no acks, no limits, no memory of anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import defaultdict

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosedError


async def main() -> None:
    """Serve on a free port of loopback until SIGTERM; the line that says where is that of `chatsim serve`."""
    rooms: defaultdict[str, set[ServerConnection]] = defaultdict(set)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    async def talk(connection: ServerConnection) -> None:
        assert connection.request is not None
        room = rooms[connection.request.path]
        room.add(connection)
        # A crowd leaves without a word, which is no news here.
        with contextlib.suppress(ConnectionClosedError):
            async for message in connection:
                broadcast(room - {connection}, message)
        room.discard(connection)

    async with serve(talk, "127.0.0.1", 0, compression=None, ping_interval=None, backlog=2048) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        print(f"listening on ws://127.0.0.1:{port}/ws", flush=True)
        await stop.wait()


if __name__ == "__main__":
    uvloop.run(main())
