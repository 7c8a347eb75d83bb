"""The loads of a calibration: each differs from another in one thing, and that thing is what is measured.

Decides what the crowd does in each, on which server, and what must come back. Rule: an estimate is a difference of two
loads; the names here are those that the estimators know. How costs follow from them is left to the analysis.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from chatsim.core.config import HandlerConfig

Server: TypeAlias = Literal["plain", "tls", "durable", "es256", "pinging", "collecting"]

Say: TypeAlias = Literal[
    "nothing",
    "typing",
    "presence",
    "heartbeat",
    "join",
    "again",
    "said",
    "told",
    "acked",
    "talked",
    "refused",
    "let in",
    "pings",
]

LISTENERS: Final = (0, 1, 2, 4, 16, 64)
"""Who hears what is said in one turn: nobody, one alone, and more and more collected."""

MANY_SESSIONS, MANY_LISTENERS = 8, 16
"""The load that owes each listener several frames which leave in one write."""

TOLD: Final = (4, 16, 64)
"""Listeners of a message, who are to ack it."""

TALKED: Final = (1, 8)
"""Listeners of a message who ack it as soon as they have it: all that chat is made of, in one."""

HALL: Final = 250
"""So many listen in a large room: each is a connection that the server has not had in its caches for long."""

ROOMS: Final = {1: 15, 8: 6}
"""In so many rooms somebody speaks at once, by how many listen in each: a server that many use is kept warm by the one
for the other, and there chat costs less than where it comes message by message."""

CHAT: Final = (1, 4, 19)
"""Listeners of each message of a chat that goes on, as most of what a server does is."""

CHAT_SETTLES: Final = 16
"""Messages that one ack settles in such a chat: where there is talk, people ack many at a time."""

SETTLED: Final = 16
"""Messages that one ack settles."""

SPREAD: Final = 60
"""As many connections take turns with what is small: a server that many use has hardly ever the one in its caches that
says something now."""

LATE_S = 0.004
"""Operations so far apart find a loop that has slept for long (s)."""

KEPT: Final = {"kept soon": 0.0008, "kept": 0.004, "kept late": 0.012, "kept rarely": 0.04}
"""Messages of one to a commit, and how far apart (s): a commit takes the longer, the longer there was none."""

CLUMP = 32
"""Connections that say something at once, so that the loop is woken once for many."""

BURSTS: Final = (8, 32, 128)
"""Messages in one read, which the log that lasts commits together."""

LOGS: Final[tuple[Server, ...]] = ("plain", "durable")
"""The servers of either log."""

PINGED = 100
PING_INTERVAL_S = 0.25


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """One load. An operation is `frames` frames of the kind `say` in one go, by so many `lines`, and `heard` frames
    come back for it, or at least `heard_least` of them, in the mean, where several may be told in one (0: exactly
    `heard`).

    `listeners` hear of it, and one ack `settles` so many messages.
    `gap_s` is the least time between two operations; `ops_max` bounds their number. With `timed`, how long each took to
    be answered is looked at.
    """

    name: str
    server: Server
    say: Say
    frames: int = 1
    lines: int = 1
    heard: int = 0
    heard_least: float = 0.0
    listeners: int = 0
    settles: int = 1
    sessions: int = 1
    gap_s: float = 0.0002
    ops_max: int = 4000
    timed: bool = False
    token: str = ""


def _doors(server: Server, token: str) -> Load:
    """Handshakes with a token of this kind."""
    say: Say = "let in" if token == "good" else "refused"
    return Load(name=f"door {token} {server}", server=server, say=say, frames=0, token=token, gap_s=0.003, ops_max=120)


def _told(listeners: int) -> Load:
    """Messages to so many, who ack them when it is over: few enough that the server keeps them all meanwhile."""
    return Load(
        name=f"told {listeners}",
        server="plain",
        say="told",
        listeners=listeners,
        heard=1 + listeners,
        gap_s=0.0004,
        ops_max=200,
        timed=True,
    )


def _talked(listeners: int, server: Server = "plain", *, rooms: int = 1, gap_s: float = 0.0) -> Load:
    """Messages to so many, each of whom acks at once, as people's clients do, and the notices of that to their author:
    at least everything but the notices, several of which may be told in one frame. In several `rooms` at once nobody
    waits for what comes of it."""
    return Load(
        name=f"talked {listeners} {server}{' clump' if rooms > 1 else ''}",
        server=server,
        say="talked",
        frames=rooms,
        lines=rooms,
        listeners=listeners,
        heard=(1 + 2 * listeners) * rooms,
        heard_least=(1.0 + listeners) * rooms,
        gap_s=gap_s or 0.0002 * (1 + listeners),
        ops_max=max(12, 120 // rooms),
    )


def _presence(server: Server, listeners: int, sessions: int = 1) -> Load:
    """One who changes her presence, in so many sessions with so many others."""
    return Load(
        name=f"presence {sessions}x{listeners} {server}",
        server=server,
        say="presence",
        listeners=listeners,
        sessions=sessions,
        heard=listeners * sessions,
    )


def _chat(listeners: int, server: Server = "plain") -> Load:
    """Talk as it goes on and on: nobody waits for an answer, and whoever listens acks a few messages at a time."""
    return msgspec.structs.replace(
        _talked(listeners, server, gap_s=0.0001 + 0.000012 * listeners),
        name=f"chat {listeners} {server}",
        settles=CHAT_SETTLES,
        ops_max=1500,
    )


def _slow_chat(server: Server) -> Load:
    """The same, so slow that each message has a commit of its own where the log lasts."""
    return msgspec.structs.replace(_chat(4, server), name=f"chat slow {server}", gap_s=0.001)


_ANSWERED: Final[tuple[Say, ...]] = ("heartbeat", "again", "said")
"""What is also said by many at once: what a frame costs without a wake-up of its own."""

LOADS: Final = (
    # Long enough that what happens ten times a second happens in it.
    Load(name="silence", server="plain", say="nothing", frames=0, gap_s=0.02),
    Load(name="typing", server="plain", say="typing"),
    Load(name="typing clump", server="plain", say="typing", frames=CLUMP, lines=CLUMP, gap_s=0.002),
    *(
        Load(name=f"{say} clump", server="plain", say=say, frames=CLUMP, lines=CLUMP, heard=CLUMP, gap_s=0.002)
        for say in _ANSWERED
    ),
    Load(
        name="acked clump",
        server="plain",
        say="acked",
        frames=CLUMP,
        lines=CLUMP,
        heard=CLUMP,
        heard_least=0.1,
        gap_s=0.004,
        ops_max=60,
    ),
    Load(name="heartbeat", server="plain", say="heartbeat", heard=1, timed=True),
    Load(name="heartbeat late", server="plain", say="heartbeat", heard=1, gap_s=LATE_S, timed=True),
    Load(name="join", server="plain", say="join", heard=1),
    Load(name="again", server="plain", say="again", heard=1),
    Load(name="said", server="plain", say="said", heard=1, timed=True),
    Load(name="said late", server="plain", say="said", heard=1, gap_s=LATE_S, timed=True),
    # Acks of what was said before. Slow enough that the notice of each goes out at once, and waits for no company, but
    # for those of a late crowd.
    Load(name="acked", server="plain", say="acked", heard=1, heard_least=0.1, gap_s=0.0025, ops_max=200),
    Load(
        name=f"acked {SETTLED}",
        server="plain",
        say="acked",
        settles=SETTLED,
        heard=1,
        heard_least=0.1,
        gap_s=0.0025,
        ops_max=14,
    ),
    *(_told(listeners) for listeners in TOLD),
    *(_talked(listeners) for listeners in TALKED),
    msgspec.structs.replace(_talked(HALL, gap_s=0.006), ops_max=12),
    *(_talked(listeners, rooms=rooms, gap_s=0.00005 * (1 + listeners) * rooms) for listeners, rooms in ROOMS.items()),
    *(_chat(listeners) for listeners in CHAT),
    *(_presence("plain", listeners) for listeners in LISTENERS),
    _presence("plain", 0, MANY_SESSIONS),
    _presence("plain", MANY_LISTENERS, MANY_SESSIONS),
    _presence("tls", 0),
    _presence("tls", MANY_LISTENERS),
    _chat(4, "tls"),
    *(Load(name=name, server="durable", say="said", heard=1, gap_s=gap_s, timed=True) for name, gap_s in KEPT.items()),
    # What the loop hears of a commit shows in chat that has one to a message, beside the same chat in memory: of a
    # message that is said alone both wake-ups are cold, and each as cold as it likes.
    *(_slow_chat(server) for server in LOGS),
    *(
        Load(name=f"kept {frames}", server="durable", say="said", frames=frames, heard=frames, gap_s=0.015, timed=True)
        for frames in BURSTS
    ),
    _doors("plain", "missing"),
    _doors("plain", "expired"),
    _doors("plain", "good"),
    _doors("es256", "missing"),
    _doors("es256", "expired"),
    _doors("tls", "missing"),
    Load(name="pings", server="pinging", say="pings", frames=0),
)
"""All of them, each once a round."""

DOORS: Final[tuple[Server, ...]] = ("plain", "es256")
"""Servers whose doors are knocked at with tokens by turns, since what a token costs is little beside the rest."""

BY_NAME: Final = {load.name: load for load in LOADS}

HOUR_S = 3600.0

RAISED: Final = HandlerConfig(
    rate_limit=1_000_000,
    rate_window_s=1.0,
    frame_limit=1_000_000,
    frame_window_s=1.0,
    outbound_frames=1_000_000,
    outbound_bytes=1024**3,
    accept_rate_per_s=1_000_000.0,
    ping_interval_s=600.0,
    pong_timeout_s=600.0,
    stale_after_s=HOUR_S,
    sweep_interval_s=600.0,
    retry_interval_s=HOUR_S,
    retention_s=HOUR_S,
    typing_interval_s=1e-6,
    typing_lapse_s=HOUR_S,
    presence_grace_s=HOUR_S,
    drain_window_s=1.0,
)
"""The usual settings, but that no limit binds and no timer rings while something else is measured."""

CONFIGS: Final[dict[Server, HandlerConfig]] = {
    "plain": RAISED,
    "tls": RAISED,
    "durable": RAISED,
    "es256": msgspec.structs.replace(RAISED, algorithms=("ES256",)),
    "pinging": msgspec.structs.replace(RAISED, ping_interval_s=PING_INTERVAL_S),
    # What is said is kept as long as with the usual settings: it is what the collector has to look at.
    "collecting": RAISED,
}
