"""What was required, broken on purpose: for each requirement of each shipped scenario a bug that breaks a promise.

Rule: as for the mutants of exploring (`tests.explore.mutants`): a mistake in one place, and everything else as it is.
Each breaks a requirement, and every scenario that is named with it has to break a promise that speaks of just that one:
what the invariants say of it counts for nothing here, since whoever reads a scenario reads what it promises.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tests.explore.mutants import Mutant, one

VIRTUAL: Final = ("sim", "virtual")
"""The wires that play the same bytes every time."""

HANDLER, DELIVERY, CLIENT, TOKENS = "core/handler.py", "core/delivery.py", "core/client.py", "core/tokens.py"
CREDENTIALS, PULSE, POOL, SIGNALS = "core/credentials.py", "core/pulse.py", "core/pool.py", "core/signals.py"
ADMISSION, GREETINGS, LIMITER, MEMBERSHIP = (
    "core/admission.py",
    "core/greetings.py",
    "core/limiter.py",
    "core/membership.py",
)


class Broken(NamedTuple):
    """A bug, the requirements that it breaks, each with the scenarios that say so, and the wires on which they do."""

    mutant: Mutant
    breaks: tuple[tuple[str, tuple[str, ...]], ...]
    wires: tuple[str, ...] = VIRTUAL


def _broken(name: str, file: str, old: str, new: str, *wires: str, **shown: str) -> Broken:
    """A bug in one place; each requirement is given with spaces as `_`, and a numbered one as `r3_1`."""
    breaks = tuple((_TAGS.get(word, word.replace("_", " ")), tuple(names.split())) for word, names in shown.items())
    return Broken(one(name, file, old, new), breaks, wires or VIRTUAL)


_TAGS: Final = {f"r{tag.replace('.', '_')}": tag for tag in ("3.1", "3.2", "5.1", "5.2", "5.3")} | {
    "ping_pong": "ping/pong"
}

_COME_BACK: Final = (
    "began-behind-before-a-restart caught-up-before-a-crash close-on-its-way crash-recovery duplicate-sends "
    "half-open-phones kept-after-restart own-session-after-restart posted-after-restart reconnect "
    "retried-behind-a-replay revoked-before-restart revoked-while-down said-before-the-replay"
)
"""Scenarios in which somebody comes back to what she has missed."""

BROKEN: Final = (
    # Who may come in, and for how long.
    _broken(
        "whoever has signed a token is believed",
        TOKENS,
        "if not keys.signed(header.alg, text, signature):",
        "if not keys:",
        "virtual",  # the simulation makes no signatures
        r3_1="authentication",
    ),
    _broken(
        "an ended token opens the door",
        TOKENS,
        "return _EXPIRED if claims.exp <= wall else None",
        "return _EXPIRED if claims.exp < 0 else None",
        r3_1="authentication",
        r3_2="authentication",
    ),
    _broken(
        "a revoked token opens the door",
        CREDENTIALS,
        "claims.jti in self._jtis:\n            return True",
        "claims.jti in self._jtis:\n            return False",
        r3_1="authentication revocation",
        r3_2="authentication revocation",
    ),
    _broken(
        "a revocation closes nothing",
        HANDLER,
        "victims = [*holders, *(() if known is None else known.connections.values())]",
        "victims = [*holders[:0], *(() if known is None else ())]",
        r3_1="revocation revoked-before-restart",
        r3_2="revocation",
    ),
    _broken(
        "nobody is warned that her token ends",
        HANDLER,
        "effects.append(Send((connection.name,), TokenExpiring(expires_in_s=left_s)))",
        "assert left_s >= 0",
        r3_1="token-refresh",
        r3_2="token-refresh",
        token_expiry="token-refresh",
    ),
    _broken(
        "a new token is good for nothing",
        HANDLER,
        "self._credentials.hold(self._epoch, connection, claims, renewed_at=now)",
        "assert claims",
        r3_2="token-refresh",
        token_expiry="token-refresh",
    ),
    _broken(
        "a token ends and nothing follows",
        HANDLER,
        'effects += self._close(now, connection, TOKEN_EXPIRED, "token expired")',
        "assert connection",
        r3_2="token-refresh",
        token_expiry="token-refresh",
    ),
    # What is said, and to whom.
    _broken(
        "what is said waits for its retry",
        HANDLER,
        "        if to:\n            effects.append(Send(to, message))\n        lost =",
        "        if not session:\n            effects.append(Send(to, message))\n        lost =",
        r5_1="large-session one-node slow-reader steady tls-everywhere",
        session_mapping="large-session not-let-go steady typing-refused-while-joining",
        session_broadcasting="frozen-twice large-session steady",
    ),
    _broken(
        "only those who joined first are in a session",
        POOL,
        "return names[:place] + names[place + 1 :]",
        "return names[:place]",
        session_mapping="large-session many-devices steady",
        session_broadcasting="large-session steady",
    ),
    _broken(
        "only the newest device of a user hears",
        POOL,
        "tuple(name for member in self.members.values() for name in member.names)",
        "tuple(name for member in self.members.values() for name in member.names[-1:])",
        session_mapping="many-devices",
        user_mapping="many-devices user-broadcast",
        user_broadcasting="user-broadcast",
    ),
    _broken(
        "what the server writes to a user is dropped",
        HANDLER,
        '*notes, Append(Record(name, SERVER, "", id_, body, self._epoch + now, epoch))]',
        "*notes]",
        user_broadcasting=(
            "caught-up-before-a-crash newer-to-a-second-device own-session-after-restart posted-after-restart "
            "posted-while-away user-broadcast"
        ),
    ),
    _broken(
        "each connection is a user of its own",
        HANDLER,
        "user = self._users.get(claims.sub)\n        if user is None:\n            user =",
        "user = None\n        if user is None:\n            user =",
        pool="connection-limit",
        user_mapping="connection-limit user-broadcast",
        user_broadcasting="user-broadcast",
    ),
    _broken(
        "nobody has too many connections",
        HANDLER,
        "while len(user.connections) >= self.config.connections_per_user:",
        "while len(user.connections) >= 1000:",
        pool="connection-limit",
    ),
    _broken(
        "a user has one connection",
        HANDLER,
        "while len(user.connections) >= self.config.connections_per_user:",
        "while user.connections:",
        pool="many-devices",
        user_mapping="many-devices user-broadcast",
    ),
    _broken(
        "the door takes everybody at once",
        ADMISSION,
        "if connections >= self._connections_max or bucket.refusal(now):",
        "if connections >= self._connections_max:",
        failure_handling="flash-crowd",
    ),
    _broken(
        "whoever is turned away stays away",
        CLIENT,
        "if 400 <= status < 500 and status != 429:",
        "if 400 <= status:",
        r5_2="flash-crowd",
        r5_3="few-are-let-in restart-storm",
        reconnection="restart-storm",
    ),
    # The seven types.
    _broken(
        "nobody is told that her message is stored",
        HANDLER,
        "effects.append(Send((record.conn,), entry.ack(message, duplicate=False)))",
        "assert message",
        r5_1="slow-reader steady",
        routing="seven-types",
    ),
    _broken(
        "nobody has what she acks",
        HANDLER,
        "settled = self.ledger.ack_up_to(joined, up_to, connection.name)",
        "settled: list[Outgoing] = []",
        routing="seven-types",
        acks=(
            "acked-by-two-devices acked-when-due duplicate-sends half-open-phones log-outage read-at-once retries "
            "revoked-on-the-way"
        ),
    ),
    _broken(
        "typing is told to nobody",
        SIGNALS,
        "return (Tell(name, Typing(name, member.user.name, active)),)",
        "return ()",
        routing="seven-types",
        typing="typing-presence typing-refused-while-joining typing-stopped-early",
    ),
    _broken(
        "nobody stops typing",
        SIGNALS,
        "return (Tell(name, Typing(name, member.user.name, active)),)",
        "return (Tell(name, Typing(name, member.user.name, active)),) if active else ()",
        routing="seven-types",
        typing="typing-presence typing-stopped-early",
    ),
    _broken(
        "nobody hears who is away",
        SIGNALS,
        "return tuple(tell for member in there for tell in self._tell_presence(wall, member))",
        "return ()",
        routing="seven-types",
        presence="typing-presence",
    ),
    _broken(
        "nobody hears who comes",
        SIGNALS,
        "return NOTHING if member.told == member.user.state else self._tell_presence(wall, member)",
        "return NOTHING",
        routing="seven-types",
        presence="away-in-the-grace typing-presence",
    ),
    _broken(
        "nobody hears who has gone",
        SIGNALS,
        "            if member.gone_at == gone_at:\n                told +=",
        "            if now < 0:\n                told +=",
        presence="typing-presence",
    ),
    _broken(
        "a heartbeat is no frame",
        HANDLER,
        "return (Send((connection.name,), Heartbeat(self._epoch + now, seqs, frame.t)),)",
        'return self._error(connection, "unknown_type", "no such type")',
        routing="seven-types",
    ),
    _broken(
        "nonsense is not answered",
        HANDLER,
        "        return self._error(connection, code, detail)\n\n    def pong",
        "        return NOTHING\n\n    def pong",
        routing="seven-types",
    ),
    # Acks, retries, and the limits on what is said.
    _broken(
        "a message is acked before it is stored",
        HANDLER,
        "return (*room, Append(record)) if room else (Append(record),)",
        'ack = Ack(frame.id, "", frame.session, epoch, 0, False)\n'
        "        return (*room, Send((connection.name,), ack), Append(record))",
        acks="log-outage",
    ),
    _broken(
        "nobody is told what the log did not take",
        HANDLER,
        '        self.counters.errors += 1\n        return (Send(to, Error("unavailable",',
        '        if now >= 0:\n            return NOTHING\n        return (Send(to, Error("unavailable",',
        failure_handling="log-outage",
        acks="log-outage",
    ),
    _broken(
        "a repeated id is another message",
        HANDLER,
        "if entry is not None and session is not None and entry.epoch == session.epoch:",
        "if entry is not None and now < 0:",
        acks="duplicate-sends",
    ),
    _broken(
        "a message is tried twice more and no oftener",
        DELIVERY,
        "elif tries >= self._config.retries:",
        "elif tries >= min(self._config.retries, 2):",
        retry="half-open-baseline retries",
    ),
    _broken(
        "nothing is tried again",
        DELIVERY,
        "elif tries >= self._config.retries:",
        "elif tries >= 0:",
        retry="half-open-baseline half-open-phones retried-behind-a-replay retries",
    ),
    _broken(
        "retries are spent on those who are not there",
        DELIVERY,
        "if self._hardened and not reached:",
        "if self._hardened and now < 0:",
        acks="half-open-phones",
        retry="half-open-phones",
        failure_handling="half-open-phones",
    ),
    _broken(
        "nobody says too much",
        HANDLER,
        "wait_s = user.limiter.refusal(now)",
        "wait_s = 0.0",
        limiter="limiter limit-outlives-the-node",
    ),
    _broken(
        "the limit begins anew with every minute",
        LIMITER,
        '"sliding": SlidingWindow',
        '"sliding": FixedWindow',
        limiter="limiter",
    ),
    _broken(
        "no frames are too many",
        HANDLER,
        'if excess_s:\n            return self._flood(now, connection, excess_s, getattr(frame, "id", UNSET))',
        'if excess_s < 0:\n            return self._flood(now, connection, excess_s, getattr(frame, "id", UNSET))',
        failure_handling="left-in-a-flood",
    ),
    _broken(
        "as much waits for a slow reader as will",
        HANDLER,
        "if queued_bytes > config.outbound_bytes or queued_frames > config.outbound_frames:",
        "if queued_bytes < 0:",
        failure_handling="slow-reader",
    ),
    # Who is there, and who is not any more.
    _broken(
        "nobody is pinged",
        HANDLER,
        "effects.append(Ping(to))",
        "assert to",
        r5_2="quiet-connections",
        ping_pong="quiet-connections vanished-peer",
    ),
    _broken(
        "a pong is no sign of life",
        HANDLER,
        "            connection.heard_at = now\n            if connection.pinged_at >= 0.0:",
        "            if connection.pinged_at >= 0.0:",
        r5_2="quiet-connections",
        ping_pong="quiet-connections vanished-peer",
    ),
    _broken(
        "nobody waits for a pong",
        PULSE,
        'inf if config.reliability == "baseline" else config.pong_timeout_s',
        "inf",
        ping_pong="vanished-peer",
        failure_handling="half-open-phones vanished-peer",
    ),
    _broken(
        "nobody is swept",
        PULSE,
        "if now - connection.heard_at > self._stale_after_s",
        "if now < connection.heard_at",
        stale_sweep="half-open-baseline stale-sweep",
        routing="seven-types",
    ),
    _broken(
        "everybody is swept",
        PULSE,
        "if now - connection.heard_at > self._stale_after_s",
        "if connection",
        stale_sweep="half-open-baseline stale-sweep",
        r5_2="quiet-connections",
    ),
    # Who comes back, and what there is for her.
    _broken(
        "whoever loses her connection stays away",
        CLIENT,
        "if code in TERMINAL or 4500 <= code < 5000 or not self._config.reconnect:",
        "if code:",
        r5_3=f"{_COME_BACK} few-are-let-in restart-storm tls-everywhere",
        reconnection="half-open-phones reconnect restart-storm",
        failure_handling="crash-recovery reconnect",
    ),
    _broken(
        "nothing is kept for whoever comes back",
        DELIVERY,
        "if not self._hardened or last_seq > session.seq:",
        "if not session.over:",
        r5_3=_COME_BACK,
        reconnection="reconnect",
        failure_handling="crash-recovery reconnect",
    ),
    _broken(
        "a replay brings nothing",
        MEMBERSHIP,
        "        if missed:\n            effects += self._replays.begin(now, connection, member, missed)",
        "        if missed and now < 0:\n            effects += self._replays.begin(now, connection, member, missed)",
        r5_3="crash-recovery duplicate-sends half-open-phones reconnect restart-storm",
        failure_handling="crash-recovery half-open-phones reconnect",
    ),
    _broken(
        "a node that begins again knows nothing",
        HANDLER,
        "restorer.restore(snapshot)\n",
        "assert restorer\n",
        r5_3="crash-recovery own-session-after-restart",
        failure_handling="crash-recovery",
    ),
    # How a node ends.
    _broken(
        "a node that drains lets nobody go",
        GREETINGS,
        "closings.add(now + window_s * place / len(connections), connection)",
        "assert place >= 0",
        graceful_shutdown="close-on-its-way draining dropped-when-drained dropped-when-due restart-storm",
    ),
    _broken(
        "a node that drains lets people in",
        ADMISSION,
        '        if draining:\n            return "draining"\n',
        "",
        graceful_shutdown="draining restart-storm",
    ),
)
