"""Bugs planted on purpose, to prove that exploring finds them: each is a few lines of the package, written otherwise.

Rule: a mutant is a mistake that somebody could make, in one place where it could be made, and everything else stays as
it is. It is planted in a copy of the package, and explored by a process that knows only the copy. It is killed by an
invariant that does not hold, or by what raises in the core or a shell of it, and by nothing else: a run that fails in
any other way proves nothing. `CONTROL` is planted and explored likewise, and must survive.
Those of the core and of the simulation stand here, but for what a node does to its connections (`peer_mutants`) and for
the client (`client_mutants`); those of the asyncio shell in `shell_mutants`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from chatsim.explore.play import Wire

PACKAGE = Path(__file__).parents[2] / "chatsim"
SEEDS = 200
"""Within so many seeds every mutant has to be found."""


_TOLD = re.compile(r"^seed (?P<seed>\d+) on \w+: (?P<invariant>\w+) at (?P<detail>.*)$", re.MULTILINE)
_RAISED = re.compile(r"\b(\w+/[\w/]*\w+\.py):\d+ ")
"""The place in the package that is nearest to where it was raised."""


class Edit(NamedTuple):
    """One place: a file of the package, what is written there exactly once, and what the mutant writes."""

    file: str
    old: str
    new: str


class Mutant(NamedTuple):
    """One planted bug, the wire that it is looked for on, the invariants that may find it (none named: any), and the
    seed that is played first: those before it come last, so that it says how soon it is found, and not whether."""

    name: str
    edits: tuple[Edit, ...]
    wire: Wire = "sim"
    by: tuple[str, ...] = ()
    first: int = 0


class Found(NamedTuple):
    """What came of exploring a mutant: the invariant that did not hold ("": none did not), on which seed, where it was
    raised if it was `calm`, and what the process ended with and said."""

    invariant: str
    seed: int
    raised_in: str
    status: int
    said: str

    @property
    def kills(self) -> bool:
        """Whether that is a kill: a rule did not hold, or the core or a shell of it has raised."""
        if self.status != 1 or not self.invariant:
            return False
        return self.invariant != "calm" or self.raised_in.startswith(("core/", "live/", "sim/"))


def one(
    name: str, file: str, old: str, new: str, *, wire: Wire = "sim", by: tuple[str, ...] = (), first: int = 0
) -> Mutant:
    """A mutant in one place."""
    return Mutant(name, (Edit(file, old, new),), wire, by, first)


HANDLER, DELIVERY, SIGNALS, REPLAYS = "core/handler.py", "core/delivery.py", "core/signals.py", "core/replays.py"
SERVICE, SESSIONS, MEMBERSHIP = "core/service.py", "core/sessions.py", "core/membership.py"
LAGGARDS = "core/laggards.py"

MUTANTS = (
    one(
        "the limiter counts per connection",
        HANDLER,
        "wait_s = user.limiter.refusal(now)",
        'limiters = self.__dict__.setdefault("_limiters", {})\n'
        "        limiter = limiters.setdefault(connection.name, make_limiter(self.config))\n"
        "        wait_s = limiter.refusal(now)",
    ),
    one("a fixed window", "core/limiter.py", '"sliding": SlidingWindow', '"sliding": FixedWindow'),
    one("two retries", DELIVERY, "elif tries >= self._config.retries:", "elif tries >= min(self._config.retries, 2):"),
    one(
        "an ack of one message is ignored",
        DELIVERY,
        "if member is None or not outgoing.waiting.pop(member, 0):",
        "if member is None or not outgoing.waiting.get(member, 0) or True:",
        by=("retry_after_ack",),
    ),
    one(
        "an ack of one message is taken for one of all before it",
        HANDLER,
        "            return self._had(now, member, [outgoing])",
        "            older = self.ledger.ack_up_to(member, outgoing.message.seq, connection.name)\n"
        "            return self._had(now, member, [*older, outgoing])",
        by=("delivered",),
    ),
    one(
        "what was acked by itself stays on the list of what is owed",
        DELIVERY,
        "        self._settle(outgoing)\n        self._trim(member)\n        self.delivered += 1\n",
        "        self._settle(outgoing)\n        self.delivered += 1\n",
        by=("leftovers",),
    ),
    one(
        "a retry after the ack",
        DELIVERY,
        "if outgoing.waiting.get(member) != attempt:",
        "if outgoing.waiting.get(member, attempt) != attempt:",
    ),
    one(
        "the sweep uses the wrong clock",
        "core/pulse.py",
        "if now - connection.heard_at > self._stale_after_s",
        "if now - max(connection.heard_at, connection.pinged_at) > self._stale_after_s",
    ),
    one(
        "no pong timeout",
        "core/pulse.py",
        'inf if config.reliability == "baseline" else config.pong_timeout_s',
        "inf",
    ),
    one(
        "an ack before the append",
        HANDLER,
        "return (*room, Append(record)) if room else (Append(record),)",
        'ack = Ack(frame.id, "", frame.session, epoch, 0, False)\n'
        "        return (*room, Send((connection.name,), ack), Append(record))",
    ),
    Mutant(
        "the replay at the next wake",
        (
            Edit(
                MEMBERSHIP,
                "effects += self._replays.begin(now, connection, member, missed)",
                'later = self._replays.__dict__.setdefault("_later", [])\n'
                "            later += self._replays.begin(now, connection, member, missed)",
            ),
            Edit(
                HANDLER,
                "        effects: list[Effect] = []\n        for to in self._pulse.pings(now):",
                '        effects: list[Effect] = self._replays.__dict__.pop("_later", [])\n'
                "        for to in self._pulse.pings(now):",
            ),
        ),
    ),
    one(
        "what is live before the replay",
        REPLAYS,
        "return tuple(conn for conn in to if conn not in behind) if behind else to",
        "return to",
        first=50,
    ),
    one(
        "a retry overtakes a replay",
        DELIVERY,
        "starts, behind = starts or {}, behind or {}",
        "starts, behind = starts or {}, {}",
        first=60,
    ),
    one(
        "the rest of a replay is forgotten",
        REPLAYS,
        "return [] if backlog is None else self._take(now, connection, backlog)",
        "return []",
    ),
    one(
        "the rest of a replay is not asked for",
        REPLAYS,
        "effects.append(Watch(conn))",
        "assert left",
    ),
    one(
        "what waits behind a replay is forgotten",
        REPLAYS,
        "backlog.entries.append(_Entry(member, message, outgoing, live=True))",
        "backlog.entries.append(backlog.entries.pop())",
    ),
    one(
        "the client moves past what a replay still brings",
        "core/client.py",
        "and frame.seq == place.last_seq + 1",
        "and frame.seq > place.last_seq",
        first=170,
    ),
    one(
        "frames are counted in a fixed window",
        "core/frame_rate.py",
        "del moments[: bisect_right(moments, now - self.window_s)]\n        if len(moments)",
        "del moments[: bisect_right(moments, now - now % self.window_s)]\n        if len(moments)",
    ),
    one(
        "a partial recovery",
        DELIVERY,
        "if wanted > len(retained):\n            return None",
        "wanted = min(wanted, len(retained))",
    ),
    one(
        "ids are forgotten at a reconnect",
        HANDLER,
        "self._numbered += 1",
        "self._numbered += 1\n        self._ids = Dedupe(self.config.dedupe_for_s)",
    ),
    one("presence without its grace", SIGNALS, "Line(config.presence_grace_s, _is_away)", "Line(0.0, _is_away)"),
    one("typing never lapses", SIGNALS, "if due_at < member.typing_due_at:", "if due_at < 0:"),
    one(
        "typing is never told",
        SIGNALS,
        "return self._tell_typing(now, member, True)",
        "return self._tell_typing(now, member, True)[1:]",
        by=("typing",),
    ),
    one(
        "typing lapses early",
        SIGNALS,
        "member.typing_until = now + config.typing_lapse_s",
        "member.typing_until = now + config.typing_lapse_s * 0.9",
        by=("typing",),
    ),
    one(
        "typing that is renewed lapses all the same",
        SIGNALS,
        "if typist.typing and now >= typist.typing_until:",
        "if typist.typing:",
        by=("typing",),
    ),
    one(
        "the limit on connections is not looked at",
        "core/admission.py",
        "if connections >= self._connections_max or bucket.refusal(now):",
        "if bucket.refusal(now):",
        by=("bounded",),
        first=80,
    ),
    one(
        "the doors fill at half their rates",
        "core/admission.py",
        "return TokenBucket(burst, burst / rate_per_s)",
        "return TokenBucket(burst, 2 * burst / rate_per_s)",
        by=("admission",),
    ),
    one(
        "a session is full with one participant less",
        SESSIONS,
        "len(session.participants) >= config.participants_max:",
        "len(session.participants) >= config.participants_max - 1:",
        by=("kept_out",),
    ),
    one(
        "who joins is told that nobody is there",
        SESSIONS,
        'return Participant(name, "offline" if member is None else member.told)',
        'return Participant(name, "offline")',
        by=("presence",),
    ),
    Mutant(
        "what is retained is retained for twice as long",
        (
            Edit(
                DELIVERY,
                "self._kept: Line[Outgoing] = Line(config.retention_s, _is_kept)",
                "self._kept: Line[Outgoing] = Line(2 * config.retention_s, _is_kept)",
            ),
            Edit(
                DELIVERY,
                "self._settled: Line[Outgoing] = Line(config.retention_s, _is_kept)",
                "self._settled: Line[Outgoing] = Line(2 * config.retention_s, _is_kept)",
            ),
        ),
        by=("recovery", "given_up"),
    ),
    one(
        "a session with one who lags hears nothing",
        LAGGARDS,
        "return tuple(name for name in to if name not in spared_names), watched, over",
        "return (), watched, over",
        by=("others",),
    ),
    one(
        "who lags is told all the same",
        LAGGARDS,
        "return tuple(name for name in to if name not in spared_names), watched, over",
        "return to, watched, over",
        by=("others",),
    ),
    one(
        "what a slow reader was spared is never told",
        LAGGARDS,
        "effects = self._part(connection, connection.spared)",
        "effects: list[Effect] = []\n        connection.spared = {}",
        by=("spared",),
    ),
    one(
        "a slow reader is told the oldest of what she was spared",
        LAGGARDS,
        "            spared.pop(key, None)\n            spared[key] = message",
        "            spared.setdefault(key, message)",
        by=("spared",),
    ),
    one(
        "nobody asks when a slow reader has room",
        LAGGARDS,
        "watched.append(Watch(connection.name))",
        "pass",
        by=("spared",),
    ),
    one(
        "a retry says something else",
        DELIVERY,
        "sends.append(Send(tuple(names), _again(outgoing.message, attempt + 1)))",
        "other = next(reversed(self._by_id.values())).message\n"
        "                message = _again(outgoing.message, attempt + 1)\n"
        "                message.body = other.body\n"
        "                sends.append(Send(tuple(names), message))",
        by=("as_written",),
    ),
    one(
        "a replay says something else",
        DELIVERY,
        "sends.append(Send((conn,), _again(outgoing.message, attempt)))",
        "message = _again(outgoing.message, attempt)\n"
        "            message.body = outgoing.session.retained[-1].message.body\n"
        "            sends.append(Send((conn,), message))",
        by=("as_written",),
    ),
    one(
        "what was delivered is told to the receiver",
        "core/notices.py",
        "return (Send(self._names_of(message.sender), notice),)",
        "return (Send(self._names_of(user), notice),)",
        by=("notices",),
    ),
    one(
        "what was given up is told on one device",
        "core/notices.py",
        "                self._names_of(outgoing.message.sender),\n",
        "                self._names_of(outgoing.message.sender)[:1],\n",
        by=("notices",),
    ),
    one(
        "users are never forgotten",
        HANDLER,
        "for name in idle(self._users, now, max(self.config.presence_grace_s, self.config.retention_s)):",
        "for name in idle(self._users, -1e9, max(self.config.presence_grace_s, self.config.retention_s)):",
        by=("leftovers",),
    ),
    one("the end of a token is not checked on frames", HANDLER, "if now >= connection.exp_at:", "if now < 0:"),
    one(
        "a revocation is ignored",
        HANDLER,
        "victims = [*holders, *(() if known is None else known.connections.values())]",
        "victims = [*holders[:0], *(() if known is None else ())]",
    ),
    one(
        "the log is not told of a revocation",
        HANDLER,
        "effects: list[Effect] = [Note(Revoked(jti, user, wall))]",
        "effects: list[Effect] = []",
        by=("stored_is_kept", "revoked"),
    ),
    one(
        "the log keeps no revocation",
        "core/kept_log.py",
        "            self._revoked.append(fact)\n",
        "",
        by=("stored_is_kept",),
    ),
    one(
        "an index of the pool leaks",
        HANDLER,
        "del user.connections[connection.name]",
        "connection.number += 0",
        by=("calm", "pool", "gone"),
    ),
    one(
        "an unbounded queue",
        HANDLER,
        "if queued_bytes > config.outbound_bytes or queued_frames > config.outbound_frames:",
        "if queued_bytes < 0:",
    ),
    one(
        "the simulated node never hears of pressure",
        "sim/node.py",
        "self.engine.at(at, self._pressed, pipe, (int(queued), backlog.frames(at)))",
        "assert backlog.frames(at)",
        by=("queue_limit",),
    ),
    one(
        "draining drops what waits",
        HANDLER,
        "effects = farewell(",
        "for session in self._sessions.by_name.values():\n"
        "            for member in session.members.values():\n"
        '                self.ledger.forsake(member, "drained")\n'
        "        effects = farewell(",
    ),
    one(
        "draining says nothing",
        "core/greetings.py",
        "sends.append(Send((connection.name,), Draining(reconnect_after_ms=after_ms)))",
        "assert after_ms >= 0",
    ),
    one(
        "one connection too many",
        HANDLER,
        "while len(user.connections) >= self.config.connections_per_user:",
        "while len(user.connections) > self.config.connections_per_user:",
    ),
    one(
        "a resume that missed nothing is refused",
        DELIVERY,
        "if not self._hardened or last_seq > session.seq:",
        "if not self._hardened or last_seq >= session.seq:",
    ),
    one(
        "ids are forgotten at a restart",
        "core/restorer.py",
        "if since + config.dedupe_for_s > start:",
        "if since > start:",
    ),
    one(
        "an author's own connection has a copy",
        HANDLER,
        "to = session.names_but(record.conn)",
        "to = session.names()",
    ),
    one(
        "more is kept after a restart than there is room for",
        DELIVERY,
        "while self._crowded(session):\n            self._late",
        "while not session:\n            self._late",
    ),
    one(
        "the client shows what it has seen",
        "core/client.py",
        "new = place.last_seq is None or frame.seq > place.last_seq or frame.epoch != place.epoch",
        "new = True",
    ),
    one(
        "a delayed ack leaves its alarm behind",
        "core/client.py",
        "self.due_at = acks_at if acks_at < self._again_at else self._again_at",
        "self.due_at = min(self.due_at, acks_at)",
        by=("calm",),
        first=60,
    ),
    one(
        "an ended session stays",
        SERVICE,
        "effects += self._notices.undelivered(self._ledger.end(session, reason))",
        "return effects\n        effects += self._notices.undelivered(self._ledger.end(session, reason))",
    ),
    one(
        "the end of a session is not followed",
        SERVICE,
        'return [] if session is None or is_own(name) else self.end(session, "ended")',
        "return []",
    ),
    one(
        "what an ended session owed is forgotten",
        SERVICE,
        "effects += self._notices.undelivered(self._ledger.end(session, reason))",
        "self._ledger.end(session, reason)",
    ),
    one(
        "the removal of a participant is ignored",
        SERVICE,
        "if session.lasting and len(session.participants) == 1:",
        "if session:\n            return []\n        if session.lasting and len(session.participants) == 1:",
    ),
    one(
        "who is removed goes on receiving",
        SERVICE,
        'return [Note(Removed(name, user)), *self.expel(now, wall, session, user, "removed")]',
        "return [Note(Removed(name, user))]",
    ),
    one(
        "who is removed may still write",
        SERVICE,
        "del session.participants[user]\n        session.told = None",
        "session.told = None",
    ),
    one(
        "a foreign session is joined",
        SESSIONS,
        "return name in connection.allowed",
        "return name in connection.allowed or name in self.by_name",
    ),
    one(
        "a foreign session is written to",
        HANDLER,
        "or user.name not in session.participants\n            or (connection.allowed is not None",
        "or (connection.allowed is None",
    ),
    one(
        "the newest connection makes room",
        HANDLER,
        "next(iter(user.connections.values()))",
        "next(reversed(user.connections.values()))",
    ),
    one(
        "a wait in seconds",
        HANDLER,
        "max(1, ceil(wait_s * 1000)) if wait_s < inf",
        "max(1, ceil(wait_s)) if wait_s < inf",
    ),
    one(
        "a wait of a whole window of frames",
        HANDLER,
        "max(1, ceil(excess_s * 1000))",
        "max(1, ceil(window_s * 1000))",
    ),
    one(
        "a post misses who came after the first",
        MEMBERSHIP,
        'own = self._sessions.by_name.get("@" + connection.user.name)',
        "own = None",
    ),
    one(
        "a repeated id is not called one",
        HANDLER,
        "entry.ack(entry.message, duplicate=True)",
        "entry.ack(entry.message, duplicate=False)",
    ),
    one("a heartbeat knows no numbers", HANDLER, "seqs[name] = member.session.seq", "seqs[name] = 0"),
    one("a heartbeat forgets what it brought", HANDLER, "seqs, frame.t)", "seqs)"),
    one(
        "a heartbeat tells the time since the start",
        HANDLER,
        "Heartbeat(self._epoch + now, seqs, frame.t)",
        "Heartbeat(now, seqs, frame.t)",
        by=("heartbeat",),
    ),
    one(
        "a heartbeat tells the time of a clock that was never set",
        HANDLER,
        "Heartbeat(self._epoch + now, seqs, frame.t)",
        "Heartbeat(self.__dict__.setdefault('_first_epoch', self._epoch) + now, seqs, frame.t)",
        by=("heartbeat",),
    ),
    one(
        "who is away is so since the start",
        HANDLER,
        "return self._signals.presence(self._epoch + now, connection.user, frame.state)",
        "return self._signals.presence(now, connection.user, frame.state)",
        by=("presence",),
    ),
    one(
        "a token is said to have ended",
        HANDLER,
        "TokenExpiring(expires_in_s=left_s)",
        "TokenExpiring(expires_in_s=0.0)",
    ),
    one(
        "who holds a token is warned when hardly any of it is left",
        "core/credentials.py",
        "        connection.warn_at = connection.exp_at - self._warning_s\n        if renewed_at",
        "        connection.warn_at = connection.exp_at - self._warning_s / 10\n        if renewed_at",
        by=("warning",),
    ),
    one(
        "who was warned before the clock was set back is not warned anew",
        "core/credentials.py",
        "if connection.warn_at < inf or now < warn_at:",
        "if connection.warn_at < inf:",
        by=("warning",),
    ),
    one(
        "what was posted to the absent is not sent when they connect",
        MEMBERSHIP,
        "if not self._hardened or not self._ledger.is_stranded(member):",
        "if self._ledger:",
    ),
    one(
        "what a dead device was posted is not sent to the one that is there",
        MEMBERSHIP,
        "if not member.connections or not is_own(member.session.name):",
        "if self._ledger:",
    ),
    one(
        "who is away when her own session is made is owed nothing in it",
        "core/sessions.py",
        "now < owner.receives_until",
        "owner.receives_until > inf",
    ),
    one(
        "what waits for somebody ends with her time to come back",
        "core/handler.py",
        "if self.ledger.keeps(member):",
        "if self.ledger.keeps(member) and now < 0:",
        by=("given_up",),
    ),
    one(
        "whoever is away for long is owed everything new",
        "core/sessions.py",
        "        member.lapsed = True\n",
        "",
        by=("receivers",),
        first=50,
    ),
    one(
        "a session that was opened for a time never ends",
        SESSIONS,
        "self._ends.add(expires_at - epoch, session)",
        "assert expires_at > epoch",
        by=("session_ends",),
    ),
    one(
        "a session that was opened for a time ends after half of it",
        SERVICE,
        "expires_at = None if ttl_s is None else epoch + now + ttl_s",
        "expires_at = None if ttl_s is None else epoch + now + ttl_s / 2",
        by=("session_ends",),
    ),
    one(
        "the end of a session does not move with the clock",
        HANDLER,
        "        self._sessions.jump(self._epoch)\n",
        "        assert self._sessions\n",
        by=("session_ends",),
    ),
    one(
        "a session that was opened for a time is there for ever after a restart",
        "core/restorer.py",
        "        self._sessions.jump(self._epoch)\n",
        "        assert self._sessions\n",
        by=("session_ends",),
        first=100,
    ),
    *(
        one(
            name,
            MEMBERSHIP,
            "        self._ledger.depart(member)\n",
            "        self._ledger.depart(member)\n"
            "        if not member.connections:\n"
            f'            return list(self._notices.undelivered(self._ledger.forsake(member, "{reason}")))\n',
            by=("given_up",),
        )
        for name, reason in (
            ("what waits for who has gone is given up as if she had left", "left"),
            ("what waits for who has gone is given up as if her session had ended", "ended"),
        )
    ),
    one(
        "draining gives up what waits and says so",
        HANDLER,
        "        self._rearm()\n        return effects\n\n    def clock_jump",
        "        for session in self._sessions.by_name.values():\n"
        "            for member in session.members.values():\n"
        '                told = self._notices.undelivered(self.ledger.forsake(member, "left"))\n'
        "                effects = (*told, *effects)\n"
        "        self._rearm()\n        return effects\n\n    def clock_jump",
        by=("given_up",),
    ),
    one(
        "what was given up is owed anew after a restart",
        "core/positions.py",
        "            if member is not None:\n                self.moved(now, member)\n",
        "            assert member is None or self._kept is not None\n",
        by=("given_up",),
    ),
    one(
        "who is put out is said to have left",
        SERVICE,
        "self._ledger.forsake(receiver, reason)",
        'self._ledger.forsake(receiver, "left")',
        by=("given_up",),
    ),
    one(
        "a session ends when the last who is in it goes",
        HANDLER,
        "            effects += self._membership.exit(now, member, connection)\n",
        "            effects += self._membership.exit(now, member, connection)\n"
        "            if not member.session.names() and not is_own(member.session.name):\n"
        '                effects += self._service.end(member.session, "ended")\n',
        by=("session_ends",),
    ),
    one(
        "who leaves is owed for ever",
        MEMBERSHIP,
        'effects += self._notices.undelivered(self._ledger.forsake(member, "left"))',
        "assert self._ledger",
        first=100,
    ),
)
"""All of them."""


CONTROL = Mutant("nothing", ())
"""No bug at all: what is planted and explored likewise, and not found."""


def plant(mutant: Mutant, folder: Path) -> None:
    """Copy the package into the folder, with the mutant in it. Raises ValueError where its place is not there, once.

    What Python has made of a module comes along where nothing is planted: to make it anew takes longer than many seeds.
    """
    # But nothing that somebody is just writing, and that has another name when it is to be copied.
    shutil.copytree(PACKAGE, folder / "chatsim", ignore=shutil.ignore_patterns("*.pyc.*"))
    for edit in mutant.edits:
        path = folder / "chatsim" / edit.file
        for made in path.parent.glob(f"__pycache__/{path.stem}.*"):
            made.unlink()
        text = path.read_text(encoding="utf-8")
        if text.count(edit.old) != 1:
            raise ValueError(f"{mutant.name}: {edit.file} has this {text.count(edit.old)} times: {edit.old}")
        path.write_text(text.replace(edit.old, edit.new), encoding="utf-8")


def explored(mutant: Mutant, folder: Path, seeds: int = SEEDS) -> Found:
    """Plant a mutant and explore it, up to seed `seeds`: which invariant found it, and what was said."""
    plant(mutant, folder)
    found = explored_there(mutant.wire, folder, mutant.first, seeds)
    if mutant.first and found.status in (0, 1) and not found.invariant:
        return explored_there(mutant.wire, folder, 0, mutant.first)
    return found


def explored_there(wire: Wire, folder: Path, first: int, end: int) -> Found:
    """Explore the package that stands in the folder, from one seed up to another."""
    command = [sys.executable, "-m", "chatsim", "explore", "--from", f"{first}", "--seeds", f"{end - first}"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [*command, "--on", wire, "--jobs", "1", "--no-shrink"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )
    return found_in(done.returncode, done.stdout, done.stderr)


def check(mutant: Mutant, folder: Path) -> None:
    """Assert that it is found, and by a rule that may find it."""
    found = explored(mutant, folder)
    assert found.kills, f"{mutant.name} survived: {found.said}"
    assert not mutant.by or found.invariant in mutant.by, found.said


def check_control(control: Mutant, folder: Path) -> None:
    """Assert that nothing is found where nothing is planted."""
    found = explored(control, folder)
    assert (found.invariant, found.status) == ("", 0), found.said


def found_in(status: int, out: str, err: str) -> Found:
    """What `chatsim explore` says of the first failure."""
    told = _TOLD.search(out)
    if told is None:
        return Found("", -1, "", status, out + err)
    raised = _RAISED.search(told["detail"]) if told["invariant"] == "calm" else None
    return Found(told["invariant"], int(told["seed"]), "" if raised is None else raised[1], status, out + err)
