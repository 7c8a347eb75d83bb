"""The invariants of the handler's own maps, timers and ledger, looked at from outside when nothing is under way.

Decides whether the parts of a handler agree with each other, with the connections that are open, and with the settings.
Rule: it reads what nobody else may read, and changes nothing. What the handler says to anybody is left to the rules
beside this one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from chatsim.core.delivery import GONE_STARTS_MAX, Ledger
from chatsim.core.handler import ChatHandler
from chatsim.core.pool import Connection, Member, Session
from chatsim.core.sessions import is_own

_Problem = tuple[str, str]
_DEAD_MAX = 64
"""Entries of things that are gone may be so many, or as many as those of things that are there."""


def problems(handler: ChatHandler, now: float, open_: Collection[str] | None, slack_s: float) -> Iterator[_Problem]:
    """Everything that is wrong inside: pairs of an invariant's name and a sentence.

    `open_` are the connections that the node has (None: not known), `slack_s` how late the node may be: what was due
    longer ago has been done.
    """
    yield from _pool(handler, open_)
    for session in handler._sessions.by_name.values():
        yield from _session(handler, session)
    yield from _ledger(handler)
    yield from _timers(handler, now, slack_s)
    yield from _limits(handler)


def states(handler: ChatHandler) -> list[tuple[str, str, str]]:
    """Session, user and state of everybody who is joined."""
    return [
        (session.name, member.user.name, member.user.state)
        for session in handler._sessions.by_name.values()
        for member in session.members.values()
        if member.connections
    ]


def _pool(handler: ChatHandler, open_: Collection[str] | None) -> Iterator[_Problem]:
    connections = handler._connections
    if open_ is not None and connections.keys() != set(open_):
        odd = sorted(connections.keys() ^ set(open_))
        yield "pool", f"the node and its handler differ about {len(odd)} connections, {odd[0]} the first."
    for name, connection in connections.items():
        user = handler._users.get(connection.user.name)
        if user is not connection.user or user.connections.get(name) is not connection:
            yield "pool", f"{name} is not among the connections of {connection.user.name}."
        for session, member in connection.member_of.items():
            found = handler._sessions.by_name.get(session)
            if found is None or found.members.get(connection.user.name) is not member:
                yield "pool", f"{name} is in {session}, which does not know it."
            elif member.connections.get(name) is not connection:
                yield "pool", f"{name} is in {session}, and its member does not know it."
    for user in handler._users.values():
        if any(connections.get(name) is not connection for name, connection in user.connections.items()):
            yield "pool", f"{user.name} has a connection that is not open."
        if user.names != tuple(user.connections):
            yield "pool", f"the names of the connections of {user.name} are not those of her connections."
    pulse = handler._pulse
    slots: dict[str, Any] = pulse._slot_of
    if slots.keys() != connections.keys() or sum(map(len, pulse._wheel)) != len(connections):
        yield "pool", f"{len(slots)} connections are pinged of {len(connections)}."
    lagging = sum(connection.spared is not None for connection in connections.values())
    if handler._laggards.count != lagging:
        yield "pool", f"{lagging} connections lag, and {handler._laggards.count} are counted."
    yield from _replays(handler)


def _replays(handler: ChatHandler) -> Iterator[_Problem]:
    replays, connections = handler._replays, handler._connections
    for name in (*replays.behind, *replays._sent):
        if name not in connections:
            yield "leftovers", f"messages are kept in line for {name}, which is gone."
    for name, backlog in replays.behind.items():
        live = [len(entry.message.body) for entry in backlog.entries if entry.live]
        if (len(live), sum(live)) != (backlog.live, backlog.live_bytes):
            yield "pool", f"{len(live)} live messages stand in line for {name}, and {backlog.live} are counted."
        if backlog.live > handler.config.outbound_frames or backlog.live_bytes > handler.config.outbound_bytes:
            yield "bounded", f"{backlog.live} live messages, {backlog.live_bytes} bytes, stand in line for {name}."
    waiting = {(name, entry.member) for name, backlog in replays.behind.items() for entry in backlog.entries}
    for session in handler._sessions.by_name.values():
        for member in session.members.values():
            for name in member.behind or ():
                if (name, member) not in waiting:
                    yield "leftovers", f"{name} is behind in {session.name}, and nothing stands in line for it."


def _session(handler: ChatHandler, session: Session) -> Iterator[_Problem]:
    names: list[str] = []
    for user, member in session.members.items():
        names += member.names
        yield from _member(handler, session, user, member)
    if session.names() != tuple(names):
        yield "pool", f"the connections of {session.name} are not those of its members."
    empty = handler._sessions._empty
    if (session.name in empty) != (not session.members and not session.lasting):
        yield "pool", f"{session.name} has {len(session.members)} members, and is counted otherwise."
    config = handler.config
    size_bytes = sum(len(outgoing.message.body) for outgoing in session.retained)
    if size_bytes != session.retained_bytes:
        yield "ledger", f"{session.name} keeps {size_bytes} bytes, and counts {session.retained_bytes}."
    if len(session.retained) > config.retention_messages or size_bytes > config.retention_bytes:
        yield "bounded", f"{session.name} keeps {len(session.retained)} messages, {size_bytes} bytes."
    if len(session.participants) > config.participants_max:
        yield "bounded", f"{session.name} has {len(session.participants)} participants."


def _member(handler: ChatHandler, session: Session, user: str, member: Member) -> Iterator[_Problem]:
    where = f"{user} in {session.name}"
    if member.names != tuple(member.connections) or member.user.name != user or member.session is not session:
        yield "pool", f"{where} is not what she should be."
    for name, connection in member.connections.items():
        known: Connection | None = handler._connections.get(name)
        if known is not connection or connection.member_of.get(session.name) is not member:
            yield "pool", f"{name} is among the connections of {where}, and is not in it."
    if user not in session.participants:
        yield "participant", f"{where} is a member and takes no part."
    gone = [name for name in member.starts or () if name not in member.connections]
    if len(gone) > GONE_STARTS_MAX + 1 or (member.starts and not member.owed):
        yield "leftovers", f"{where} keeps where connections began that are gone, or that have all."
    owed = [outgoing for outgoing in member.owed if member in outgoing.waiting]
    waits = is_own(session.name) and owed and owed[0].retained and Ledger.fresh(member) is not None
    if waits and Ledger.is_stranded(member):
        yield "replay", f"what waits for {where} was sent to none of her connections, and may go to one."
    if [o.message.seq for o in owed] != sorted({o.message.seq for o in owed}):
        yield "ledger", f"what {where} is owed is not in order."
    if member.owed and member.owed[0] is not (owed or [None])[0]:
        yield "leftovers", f"{where} is owed what she has."


def _ledger(handler: ChatHandler) -> Iterator[_Problem]:
    ledger = handler.ledger
    waiting = 0
    for message_id, outgoing in ledger._by_id.items():
        waiting += len(outgoing.waiting)
        if not outgoing.waiting:
            yield "leftovers", f"{message_id} waits for nobody, and is kept as if it did."
        for member in outgoing.waiting:
            if not any(other is outgoing for other in member.owed):
                yield "ledger", f"{message_id} waits for {member.user.name}, who does not know it."
    if waiting != ledger.waiting:
        yield "ledger", f"{waiting} wait of {ledger.owed}, {ledger.delivered} delivered, {ledger.undelivered} not."


def _timers(handler: ChatHandler, now: float, slack_s: float) -> Iterator[_Problem]:
    late_s = now - slack_s
    signals, sessions = handler._signals, handler._sessions
    for what, line in (
        ("a grace", signals._graces),
        ("a lapse", signals._lapses),
        ("an absence", sessions._absences),
        ("the end of a session", sessions._ends),
        ("the end of a token", handler._credentials._ends),
        ("a closing", handler._closings),
    ):
        if line.next_at < late_s:
            yield "leftovers", f"{what} was due at {line.next_at:g} s."
    config, connections = handler.config, handler._connections
    ends = len(handler._credentials._ends)
    if ends > 2 * len(connections) + 2 * _DEAD_MAX:
        yield "leftovers", f"{ends} ends of tokens are kept for {len(connections)} connections."
    ids = handler._ids
    # Ids are forgotten when another is asked for, or at a sweep while somebody is connected.
    tidied_s = config.dedupe_for_s + config.sweep_interval_s + slack_s
    old = [entry for entry in ids._known.values() if entry.since < now - tidied_s]
    if old and connections:
        yield "leftovers", f"{len(old)} ids are known for longer than {config.dedupe_for_s:g} s."
    yield from _users(handler, now, slack_s)
    if any(key not in ids._known for key in ids._asked):
        yield "leftovers", "somebody asks for an id that is not known."


def _users(handler: ChatHandler, now: float, slack_s: float) -> Iterator[_Problem]:
    """Who is gone is known while she may come back as who she was, and while her messages count against her rate."""
    config = handler.config
    known_for_s = max(config.presence_grace_s, config.retention_s, config.rate_window_s)
    # She is forgotten by the next sweep, and they come only while somebody is connected.
    since = now - known_for_s - config.sweep_interval_s - slack_s
    if not handler._connections:
        return
    for user in handler._users.values():
        if not user.connections and max(user.gone_at, handler._start) < since:
            yield "leftovers", f"{user.name} has been gone since {user.gone_at:g} s, and is known still."
            return


def _limits(handler: ChatHandler) -> Iterator[_Problem]:
    config = handler.config
    if len(handler._sessions.by_name) > config.sessions_max:
        yield "bounded", f"there are {len(handler._sessions.by_name)} sessions."
    for connection in handler._connections.values():
        # Her own session is joined silently, and counts for nothing.
        rooms = len(connection.member_of) - ("@" + connection.user.name in connection.member_of)
        if rooms > config.sessions_per_connection:
            yield "bounded", f"{connection.name} is in {rooms} sessions."
        if len(connection.frames or ()) > config.frame_limit + 32:
            yield "bounded", f"{connection.name} has {len(connection.frames or ())} frames counted."
        if len(connection.violations or ()) > config.violation_limit:
            yield "bounded", f"{connection.name} has {len(connection.violations or ())} violations."
    credentials = handler._credentials
    if len(credentials._jtis) + len(credentials._users) > config.revocations_max:
        yield "bounded", f"{len(credentials._jtis) + len(credentials._users)} revocations are remembered."
