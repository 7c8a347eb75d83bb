"""The invariants of clients: when a device dials again, what it shows and asks for, and how long it bears silence.

Decides whether each device comes back as the protocol says: when it was told to or after a wait that grows, by the name
of its former connection, and for what it missed. Rule: it knows what came and went on each device's wire, and asks
nothing of the client. Devices go by their numbers; moments are seconds of the crowd's clock.
"""

from __future__ import annotations

from math import inf
from typing import Final

from chatsim.core.codes import FLOOD
from chatsim.core.effects import Conn
from chatsim.core.frames import Draining, Error, Left, StatusIn, Welcome
from chatsim.verdict.invariants.catalogue import Findings
from chatsim.verdict.invariants.peers import EPS_S

BASE_S, WAIT_S_MAX, STABLE_S, MARGIN_S = 0.5, 30.0, 60.0, 5.0
"""The backoff, and how long beyond a pong silence is borne (protocol.md, sections 2 and 3)."""

TOLD_S_MAX: Final = 3600.0
"""Nobody is made to wait for longer, whatever she is told."""

OVERLOADED, OVERLOAD_STEPS = 1013, 4
"""Who is told that there is too much to do waits as after so many more failures."""

FINAL: Final = frozenset({1000, 1003, 1007, 1009})
"""Closes after which nobody comes back, beside 4500 to 4999."""


class _Device:
    """What is known of one device. `name` is the server's for its connection ("": not welcomed), `former` that of the
    one before, `shown` what it named at the door; `tries` are the dials since it was there for long, `told_s` when the
    server wants it back; `places` are the sessions that it was in and has not left, with the connection by which it was
    there last; `joined` those of this connection, `been` those that it was in by it, and `names` all its connections so
    far."""

    __slots__ = (
        "asked",
        "been",
        "dial_at",
        "flooded_until",
        "former",
        "joined",
        "name",
        "names",
        "open",
        "opened_at",
        "places",
        "shown",
        "told_s",
        "tries",
    )

    def __init__(self) -> None:
        self.name = self.former = self.shown = ""
        self.open = False
        self.opened_at = 0.0
        self.dial_at = -inf
        self.tries = 0
        self.told_s: float | None = None
        self.flooded_until = -inf
        self.places: dict[str, Conn] = {}
        self.joined: set[str] = set()
        self.asked: set[str] = set()
        self.been: set[str] = set()
        self.names: set[Conn] = set()


class DeviceRules:
    """What is watched of devices; `shown` maps each connection to the former one that was named for it ("": none)."""

    def __init__(self, findings: Findings, *, slack_s: float, scale: float = 1.0) -> None:
        """`slack_s` is how late a crowd may be (s), `scale` what the protocol's durations are multiplied by."""
        self._add = findings.add
        self._slack_s = slack_s
        self._base_s, self._wait_s_max = scale * BASE_S, scale * WAIT_S_MAX
        self._stable_s, self._margin_s = scale * STABLE_S, scale * MARGIN_S
        self._devices: dict[int, _Device] = {}
        self.shown: dict[Conn, str] = {}

    def _of(self, number: int) -> _Device:
        found = self._devices.get(number)
        if found is None:
            found = self._devices[number] = _Device()
        return found

    # Dialling.

    def dials(self, now: float, number: int, after_s: float) -> None:
        """It is to dial so much later."""
        self._of(number).dial_at = now + after_s

    def knocks(self, now: float, number: int, former: Conn) -> None:
        """It asks to be let in, and names its former connection ("": none)."""
        device = self._of(number)
        device.shown = former
        if now < device.dial_at - EPS_S:
            self._add("comes_back", now, f"device {number} is at the door, and was to dial at {device.dial_at:g} s.")
        if former != device.former:
            self._add("resume", now, f"device {number} names {former or 'nobody'} at the door, not {device.former}.")

    def opened(self, now: float, number: int) -> None:
        """Its connection is open."""
        device = self._of(number)
        device.open, device.opened_at = True, now
        device.told_s = None

    def welcomed(self, number: int, frame: Welcome) -> float:
        """The server says who it is; returns for how long it may hear nothing from now on (s)."""
        device = self._of(number)
        device.name, device.flooded_until = frame.connection, -inf
        self.shown[device.name] = device.shown
        return frame.ping_interval_s + frame.pong_timeout_s + self._margin_s + self._slack_s

    def refused(
        self, now: float, number: int, status: int, retry_after_s: float | None, dials: float | None, *, returns: bool
    ) -> None:
        """Its dial was answered with this status (0: not at all), and it dials again after `dials` s (None: it does
        not); `returns` says that it is one that comes back at all."""
        if (400 <= status < 500 and status != 429) or not returns:
            self._stays_away(now, number, f"a {status}", dials)
        else:
            told_s = None if retry_after_s is None else min(retry_after_s, TOLD_S_MAX)
            self._waits(now, number, told_s, dials)

    def lost(self, now: float, number: int, code: int, dials: float | None, *, returns: bool) -> None:
        """Its connection has ended with this code, and it dials again after `dials` s (None: it does not)."""
        device = self._of(number)
        if not device.open:
            return
        if now - device.opened_at >= self._stable_s:
            device.tries = 0
        self.left(number)
        told_s = device.told_s
        if code in FINAL or 4500 <= code < 5000 or not returns:
            self._stays_away(now, number, f"a close with {code}", dials)
            return
        if code == FLOOD and device.flooded_until > now:
            told_s = device.flooded_until - now
        elif code == OVERLOADED:
            device.tries += OVERLOAD_STEPS
        self._waits(now, number, told_s, dials)

    def left(self, number: int) -> None:
        """It has no connection any more."""
        device = self._of(number)
        device.open = False
        if device.name:
            device.names.add(device.name)
            device.former, device.name = device.name, ""
        device.joined.clear()
        device.asked.clear()
        device.been.clear()

    def _stays_away(self, now: float, number: int, what: str, dials: float | None) -> None:
        if dials is not None:
            self._add("comes_back", now, f"device {number} dials again, {dials:g} s after {what}.")

    def _waits(self, now: float, number: int, told_s: float | None, dials: float | None) -> None:
        device = self._of(number)
        if told_s is None:
            spread_s = min(self._wait_s_max, self._base_s * 2.0 ** min(device.tries, 60))
            least_s, most_s = self._base_s, min(self._wait_s_max, self._base_s + spread_s)
        else:
            least_s = most_s = told_s
        device.tries += 1
        if dials is None:
            self._add("comes_back", now, f"device {number} does not dial again.")
        elif not least_s - EPS_S <= dials <= most_s + EPS_S:
            detail = f"device {number} dials again after {dials:g} s, not {least_s:g} to {most_s:g} s."
            self._add("comes_back", now, detail)

    # What it hears.

    def told(self, now: float, number: int, frame: Draining | Error) -> None:
        """The server says when to be back, that there are too many frames, or that something is not to be had."""
        device = self._of(number)
        if isinstance(frame, Draining):
            device.told_s = min(max(frame.reconnect_after_ms, 0) / 1000, TOLD_S_MAX)
        elif frame.code == "frame_rate":
            told = frame.retry_after_ms
            device.flooded_until = now + (told / 1000 if isinstance(told, int) else 0.0)
        elif not isinstance(frame.id, str):
            # Which join it was that was refused is not told.
            device.places = {session: conn for session, conn in device.places.items() if session in device.joined}

    def late(self, now: float, number: int, until: float) -> None:
        """Something came, or ended, for which nobody was to wait after that moment."""
        self._add("silence", now, f"device {number} had heard nothing, and was to hang up by {until:g} s.")

    # What it asks for.

    def joins(self, now: float, number: int, frame: StatusIn) -> None:
        """It asks to be in a session, or not to be."""
        device = self._of(number)
        if not isinstance(frame.session, str):
            return
        if frame.action == "leave":
            self.parts(number, frame.session)
        elif frame.action == "join":
            named = frame.replaces if isinstance(frame.replaces, str) else ""
            wanted = device.places.get(frame.session) or device.former
            # Who was in it by this connection, or may have been, takes nobody's place. By which one it was there is not
            # known of what was refused, nor of its user's own session, where it is unasked.
            may = {wanted, *([""] if frame.session in device.been else [])}
            if frame.session not in device.places:
                may |= device.names
            if named not in may:
                detail = f"device {number} joins {frame.session} in place of {named or 'nobody'}, not {wanted}."
                self._add("resume", now, detail)
            if frame.session in device.places and not isinstance(frame.last_seq, int):
                self._add("resume", now, f"device {number} was in {frame.session}, and does not say how far it came.")
            device.asked.add(frame.session)

    def joined(self, number: int, session: str) -> None:
        """It is in the session."""
        device = self._of(number)
        device.places[session] = device.name
        device.joined.add(session)
        device.been.add(session)

    def ended(self, number: int, frame: Left) -> None:
        """It is in the session no more; its own leave it has not to be told."""
        if frame.reason != "left":
            self.parts(number, frame.session)

    def parts(self, number: int, session: str) -> None:
        """It does not want to be in the session any more, or cannot."""
        device = self._of(number)
        device.places.pop(session, None)
        device.joined.discard(session)
        if session in device.asked:
            # Whether it was let in before it is let go it may not hear.
            device.been.add(session)
