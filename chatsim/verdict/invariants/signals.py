"""The invariants of typing and presence: what the others in a session hear of a user beside her messages.

Decides whether each signal was due when it was told, and whether one that was due was told. Rule: silence is judged
only after the bound has passed, so that a signal under way is not missed. Moments and durations in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

from chatsim.core.effects import Conn
from chatsim.core.frames import Joined, Presence, Typing
from chatsim.verdict.invariants.catalogue import Findings
from chatsim.verdict.invariants.peers import CLOCK_EPS_S, EPS_S
from chatsim.verdict.invariants.roster import Peer, Room, Roster


class SignalRules:
    """What is watched of typing and presence."""

    def __init__(self, roster: Roster, findings: Findings) -> None:
        self._roster = roster
        self._add = findings.add
        config = roster.config
        # A member who does not come back ends with retention, wherever that is the shorter.
        self._grace_s = min(config.presence_grace_s, config.retention_s)
        self._typing: dict[tuple[str, str], float] = {}
        self._relayed: dict[tuple[str, str], float] = {}
        self._stops: dict[tuple[str, str], float] = {}
        # When something was last told of somebody's typing, and who is to be told of in this step.
        self._spoken: dict[tuple[str, str], float] = {}
        self._due: tuple[str, str] | None = None
        # Who has said in this step what she is.
        self._shown: tuple[Peer, str] | None = None
        # Who has said that she is away, and since when she has no connection (inf: she has one).
        self._away: dict[str, float] = {}

    def begin(self) -> None:
        """The node begins again, and nobody is there."""
        self._typing.clear()
        self._relayed.clear()
        self._stops.clear()
        self._spoken.clear()
        self._away.clear()

    def comes(self, now: float, user: str) -> None:
        """A connection opens: who was gone for longer than the grace is online, whatever she had said before."""
        gone_at = self._away.get(user)
        if gone_at is None:
            return
        if now >= gone_at + self._roster.config.presence_grace_s:
            del self._away[user]
        else:
            self._away[user] = inf

    def goes(self, now: float, user: str) -> None:
        """A connection is gone from the roster: it may have been the user's last."""
        if user in self._away and user not in self._roster.users:
            self._away[user] = now

    def end(self, session: str) -> None:
        """The session is over, and nobody is in it to hear more; the next of its name is another."""
        for known in (self._typing, self._relayed, self._stops):
            for key in [key for key in known if key[0] == session]:
                del known[key]

    def types(self, now: float, peer: Peer, session: str, active: bool) -> None:
        """A user says that she is typing, or is not."""
        key = session, peer.user
        if active and session in peer.rooms:
            free_at = self._spoken.get(key, -inf) + self._roster.config.typing_interval_s
            self._due = key if now > free_at + EPS_S else None
        if key not in self._typing:
            return
        if active:
            self._typing[key] = now
            self._stops.pop(key, None)
        else:
            # Not sooner after the last than an interval, and no later.
            self._stops[key] = max(now, self._relayed[key] + self._roster.config.typing_interval_s)

    def shows(self, peer: Peer, state: str) -> None:
        """A user says that she is online, or away."""
        self._shown = peer, state
        if state == "away":
            self._away[peer.user] = inf
        else:
            self._away.pop(peer.user, None)

    def tell(self, now: float, door: str, session: str, message: Any, slack_s: float) -> None:
        """The node tells a session of one of its users."""
        if isinstance(message, Typing):
            self._tell_typing(now, session, message, slack_s)
        elif isinstance(message, Presence):
            self._tell_presence(now, door, session, message)

    def _tell_typing(self, now: float, session: str, message: Typing, slack_s: float) -> None:
        key = session, message.user
        self._spoken[key] = now
        if not message.active:
            self._tell_end(now, key, slack_s)
            return
        if self._due == key:
            self._due = None
        since_s = now - self._relayed.get(key, -inf)
        if since_s < self._roster.config.typing_interval_s - EPS_S:
            self._add("typing", now, f"that {message.user} types in {session} was told {since_s:g} s before.")
        self._relayed[key] = self._typing[key] = now

    def _tell_end(self, now: float, key: tuple[str, str], slack_s: float) -> None:
        """The node tells that somebody types no more: she has said so, or has not renewed it for long enough."""
        session, user = key
        since = self._typing.pop(key, -inf)
        stop_at = self._stops.pop(key, inf)
        if now > stop_at + slack_s:
            self._add("typing", now, f"that {user} stopped in {session} was to be told at {stop_at:g} s.")
        if now < min(stop_at, since + self._roster.config.typing_lapse_s) - EPS_S:
            self._add("typing", now, f"{user} still types in {session}, and was said at {since:g} s to do so.")

    def _tell_presence(self, now: float, door: str, session: str, message: Presence) -> None:
        room = self._roster.rooms.get(session)
        if room is None:
            return
        user = message.user
        wall = self._roster.epoch + now
        if abs(message.at - wall) > CLOCK_EPS_S:
            self._add("presence", now, f"{user} is {message.state} at {wall:.3f}, and not at {message.at:.3f}.")
        room.presence[user] = message.state
        here = user in room.here
        if message.state != "offline":
            if not here:
                self._add("presence", now, f"{user} is said to be {message.state} in {session}, and is not there.")
            elif (message.state == "away") != (user in self._away):
                self._add("presence", now, f"{user} is said to be {message.state} in {session}, and has not said so.")
            return
        if here:
            self._add("presence", now, f"{user} is said to be offline in {session}, and is there.")
        elif door == "wake":
            away_s = now - room.absent.get(user, -inf)
            if away_s < self._grace_s - EPS_S:
                self._add("presence", now, f"{user} is said to be offline in {session} after {away_s:g} s.")

    def joined(self, now: float, peer: Peer, frame: Joined) -> None:
        """Who joins is told who takes part, and who of them is there."""
        room = self._roster.rooms.get(frame.session)
        if room is None or frame.session[:1] == "@":
            return
        named = {participant.user: participant.state for participant in frame.participants}
        if named.keys() != room.participants:
            odd = sorted(named.keys() ^ room.participants)
            self._add("presence", now, f"{peer.user} is told who takes part in {room.name}, but for {odd[0]}.")
        for user, state in named.items():
            here = user == peer.user or room.presence.get(user, "offline") != "offline"
            told = room.presence.get(user, "offline")
            if here == (state == "offline") or (user != peer.user and state != told):
                self._add("presence", now, f"{peer.user} is told that {user} is {state} in {room.name}.")

    def _others(self, room: Room, user: str) -> set[Conn]:
        """Whom what this user does concerns, and who reads fast enough to be told."""
        peers, lagging = self._roster.peers, self._roster.lagging
        return {conn for conn in room.joined if peers[conn].user != user and conn not in lagging}

    def end_of_step(self, now: float) -> None:
        """What was to be told in this step has been told."""
        if self._due is not None:
            session, user = self._due
            self._due = None
            self._add("typing", now, f"{user} types in {session}, and nobody was told.")
        if self._shown is not None:
            (peer, state), self._shown = self._shown, None
            self._check_shown(now, peer.user, state)

    def _check_shown(self, now: float, user: str, state: str) -> None:
        """What somebody says of herself was told in each session that she is in, on whichever connection."""
        rooms, peers = self._roster.rooms, self._roster.users.get(user, {}).values()
        for name in sorted({name for peer in peers for name in peer.rooms if name[:1] != "@"}):
            told = rooms[name].presence.get(user, "offline")
            if told != state:
                self._add("presence", now, f"{user} says that she is {state}, and {name} was told that she is {told}.")
                return

    def silent(self, now: float, session: str, message: Any) -> None:
        """A signal goes out to nobody."""
        room = self._roster.rooms.get(session)
        missed = () if room is None else self._others(room, message.user)
        if missed:
            self._add("others", now, f"{len(missed)} of {session} do not hear of {message.user}.")

    def told(self, now: float, session: str, signal: Any, message: Any, to: tuple[Conn, ...]) -> None:
        """A signal goes out to these connections, as `message`."""
        if message != signal:
            self._add("others", now, f"{session} is to hear {signal}, and hears {message}.")
        room = self._roster.rooms.get(session)
        if room is None or not room.joined.issuperset(to):
            self._add("others", now, f"what {message.user} does in {session} goes to somebody who is not in it.")
            return
        peers = self._roster.peers
        if any(peers[conn].user == message.user for conn in to):
            self._add("others", now, f"{message.user} hears of herself in {session}.")
        elif not self._roster.lagging.keys().isdisjoint(to):
            self._add("others", now, f"somebody in {session} who lags hears of {message.user}.")
        elif len(to) != len(room.joined) - room.here.get(message.user, 0):
            # Who lags is spared, and nobody else.
            meant = self._others(room, message.user)
            if len(to) != len(meant):
                self._add("others", now, f"{len(to)} of {len(meant)} in {session} hear of {message.user}.")

    def sweep(self, now: float, slack_s: float) -> None:
        """Look for signals that are overdue."""
        lapse_s = self._roster.config.typing_lapse_s + slack_s
        for (session, user), since in self._typing.items():
            if now - since > lapse_s and session in self._roster.rooms:
                self._add("typing", now, f"{user} is said to type in {session}, last at {since:g} s.")
                break
        for room in self._roster.rooms.values():
            if room.name[:1] == "@":
                continue
            for user, gone_at in room.absent.items():
                if now - gone_at > self._grace_s + slack_s and room.presence.get(user, "offline") != "offline":
                    self._add("presence", now, f"{user} left {room.name} at {gone_at:g} s, and nobody was told.")
            for user in room.here:
                if room.presence.get(user, "offline") == "offline":
                    self._add("presence", now, f"{user} is in {room.name}, and nobody was told.")

    def check_states(self, now: float, states: Sequence[tuple[str, str, str]]) -> None:
        """At the end: (session, user, state) of everybody who is joined, as the handler would tell it."""
        for session, user, state in states:
            room = self._roster.rooms.get(session)
            if session[:1] != "@" and room is not None and room.presence.get(user, "offline") != state:
                self._add("presence", now, f"{user} is {state} in {session}, and something else was told.")
                return
