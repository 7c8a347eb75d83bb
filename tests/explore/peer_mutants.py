"""Bugs planted in what a node does to its connections: whom it lets in and what it tells them, when it closes them, and
for whom it keeps what.

Rule: as for those of the rest of the core (`mutants`): a mistake that somebody could make, in one place, found by a
rule.
"""

from __future__ import annotations

from tests.explore.mutants import HANDLER, SESSIONS, Edit, Mutant, one

ADMISSION, GREETINGS, TOKENS = "core/admission.py", "core/greetings.py", "core/tokens.py"

_LIMITER = "return _ALGORITHMS[config.rate_algorithm](config.rate_limit, config.rate_window_s)"
_BUCKET = (
    _LIMITER.replace("return", "limiter =")
    + "\n    if isinstance(limiter, TokenBucket):\n        {}\n    return limiter"
)
"""The buckets of messages otherwise, and those of the doors as they are."""

PEER_MUTANTS = (
    # Coming in.
    one(
        "everybody is let in at once",
        ADMISSION,
        "self._new = _bucket(config.accept_rate_per_s)",
        "self._new = _bucket(1e6 + 0 * config.accept_rate_per_s)",
        by=("admission",),
    ),
    one(
        "those who come back are let in at once",
        ADMISSION,
        "self._back = _bucket(config.resume_rate_per_s)",
        "self._back = _bucket(1e6 + 0 * config.resume_rate_per_s)",
        by=("admission",),
    ),
    one(
        "twice as many are let in at once",
        ADMISSION,
        "burst = max(1, int(rate_per_s))\n    return TokenBucket(burst, burst / rate_per_s)",
        "burst = max(1, int(rate_per_s))\n    return TokenBucket(2 * burst, 2 * burst / rate_per_s)",
        by=("admission",),
    ),
    one(
        "those who come back are taken for strangers and strangers for them",
        ADMISSION,
        "bucket = self._back if back else self._new",
        "bucket = self._new if back else self._back",
        by=("admission",),
    ),
    one(
        "a welcome tells the grace as well",
        GREETINGS,
        "expires_in_s=connection.exp_at - now,",
        "expires_in_s=connection.exp_at + config.token_grace_s - now,",
        by=("welcome",),
    ),
    one(
        "a welcome tells the end of the token as a moment",
        GREETINGS,
        "expires_in_s=connection.exp_at - now,",
        "expires_in_s=connection.exp_at,",
        by=("welcome",),
    ),
    one(
        "a welcome tells the time of the start",
        GREETINGS,
        "server_time=wall,",
        "server_time=wall - now,",
        by=("welcome",),
    ),
    one(
        "a token that has ended is good",
        TOKENS,
        "return _EXPIRED if claims.exp <= wall else None",
        "return None",
        by=("good_token", "refresh"),
    ),
    one(
        "a token is good for a little longer than it says",
        TOKENS,
        "return _EXPIRED if claims.exp <= wall else None",
        "return _EXPIRED if claims.exp + 5.0 <= wall else None",
        by=("good_token", "refresh"),
    ),
    one(
        "a token is good before it was made",
        TOKENS,
        "        return _EARLY\n",
        "        return _EXPIRED if claims.exp <= wall else None\n",
        by=("good_token", "refresh"),
    ),
    # New tokens.
    Mutant(
        "a revoked token is good for a refresh",
        (
            # The gate asks the handler, which looks once more itself.
            Edit(HANDLER, "        return self._credentials.revoked(claims)", "        return False"),
            Edit(
                HANDLER,
                "        if self._credentials.revoked(claims):\n"
                '            return self._close(now, connection, TOKEN_REVOKED, "token revoked")\n'
                "        self._credentials.hold(self._epoch, connection, claims, renewed_at=now)",
                "        self._credentials.hold(self._epoch, connection, claims, renewed_at=now)",
            ),
        ),
        by=("refresh",),
    ),
    one(
        "another user's token is good for a refresh",
        HANDLER,
        "if claims.sub != connection.user.name:",
        "if not claims.sub:",
        by=("refresh",),
    ),
    one(
        "a refused refresh ends nothing",
        HANDLER,
        "        return self._close(now, connection, reason, code)",
        '        return self._error(connection, code, f"{reason}")',
        by=("refresh",),
    ),
    one(
        "a token that has ended ends the connection that hands it in",
        HANDLER,
        'if code == "token_expired":\n            return self._error',
        "if not code:\n            return self._error",
        by=("refresh",),
    ),
    one(
        "a refresh says nothing of the grace that has passed",
        HANDLER,
        "Refreshed(expires_in_s=connection.exp_at - now)",
        "Refreshed(expires_in_s=connection.exp_at)",
        by=("refresh",),
    ),
    # Closes.
    one(
        "a flood is closed at once",
        HANDLER,
        "goes_on = now >= connection.flooding_from + window_s",
        "goes_on = begins or True",
        by=("flood",),
        first=35,
    ),
    one(
        "a flood is closed after half of its time",
        HANDLER,
        "goes_on = now >= connection.flooding_from + window_s",
        "goes_on = now >= connection.flooding_from + window_s / 2",
        by=("flood",),
    ),
    one(
        "a flood is never closed",
        HANDLER,
        'refusal + self._close(now, connection, FLOOD, "frame flood") if goes_on else refusal',
        "refusal",
        by=("flood",),
        first=70,
    ),
    one(
        "a flood that has ended goes on all the same",
        "core/frame_rate.py",
        "            connection.flooding_from = inf\n            return 0.0",
        "            return 0.0",
        by=("flood",),
    ),
    one(
        "one violation too few is enough",
        HANDLER,
        "if len(recent) > self.config.violation_limit:",
        "if len(recent) >= self.config.violation_limit:",
        by=("violations",),
    ),
    one(
        "the first violation is enough",
        HANDLER,
        "if len(recent) > self.config.violation_limit:",
        "if recent:",
        by=("violations",),
    ),
    one(
        "no violation is ever enough",
        HANDLER,
        "if len(recent) > self.config.violation_limit:",
        "if not recent:",
        by=("violations",),
    ),
    one(
        "violations are never forgotten",
        HANDLER,
        "if at + self.config.violation_window_s > now]",
        "if at <= now]",
        by=("violations",),
        first=110,
    ),
    one(
        "a binary frame is answered",
        HANDLER,
        "        fatal = FATAL.get(code)\n",
        '        fatal = FATAL.get(code) if code != "binary" else None\n',
        by=("violations",),
    ),
    one(
        "text that is no UTF-8 is answered",
        HANDLER,
        "        fatal = FATAL.get(code)\n",
        '        fatal = FATAL.get(code) if code != "bad_utf8" else None\n',
        by=("violations",),
    ),
    one(
        "text that is no UTF-8 closes as a binary frame does",
        "core/codes.py",
        '"bad_utf8": 1007',
        '"bad_utf8": 1003',
        by=("violations", "close_code"),
    ),
    one(
        "violations are told to be a flood",
        HANDLER,
        'self._close(now, connection, VIOLATIONS, "protocol violations")',
        'self._close(now, connection, FLOOD, "protocol violations")',
        by=("violations", "close_code"),
    ),
    one(
        "a slow reader is told to have been silent",
        HANDLER,
        'self._close(now, connection, TOO_SLOW, "too slow a reader")',
        'self._close(now, connection, NO_PONG, "too slow a reader")',
        by=("close_code", "closed_for_cause"),
    ),
    one(
        "a slow reader is closed at half of the limit",
        HANDLER,
        "if queued_bytes > config.outbound_bytes or queued_frames > config.outbound_frames:",
        "if 2 * queued_bytes > config.outbound_bytes or 2 * queued_frames > config.outbound_frames:",
        by=("close_code",),
    ),
    one(
        "the former connection of who resumes stays",
        HANDLER,
        "            if former is not None:\n",
        "            if former is not None and former is connection:\n",
        by=("replaced",),
    ),
    # Draining.
    one(
        "a drain closes nobody",
        GREETINGS,
        "closings.add(now + window_s * place / len(connections), connection)",
        "closings.add(now + 1e6 + window_s * place, connection)",
        by=("drained",),
    ),
    one(
        "a drain takes ten times its window",
        GREETINGS,
        "closings.add(now + window_s * place / len(connections), connection)",
        "closings.add(now + 10 * window_s * (place + 1) / len(connections), connection)",
        by=("drained",),
    ),
    one(
        "a drain closes everybody at once",
        GREETINGS,
        "closings.add(now + window_s * place / len(connections), connection)",
        "closings.add(now, connection)",
        by=("drained",),
    ),
    one(
        "a drain tells everybody to be back at one moment",
        GREETINGS,
        "after_ms = int(1000 * window_s * dice.uniform())",
        "after_ms = int(1000 * window_s * min(dice.uniform(), 0.0))",
        by=("farewell",),
    ),
    one(
        "a drain tells some to be back when its window is over",
        GREETINGS,
        "after_ms = int(1000 * window_s * dice.uniform())",
        "after_ms = int(1500 * window_s * dice.uniform())",
        by=("farewell",),
    ),
    one(
        "a node that drains lets people in",
        ADMISSION,
        '        if draining:\n            return "draining"\n',
        "",
        by=("drained",),
    ),
    # Who is away.
    one(
        "who comes back after the grace is what she was",
        HANDLER,
        "        elif not user.connections and now >= user.gone_at + self.config.presence_grace_s:\n"
        '            user.state = "online"\n',
        "",
        by=("presence",),
    ),
    one(
        "nobody hears who is away",
        HANDLER,
        "return self._signals.presence(self._epoch + now, connection.user, frame.state)",
        'return self._signals.presence(self._epoch + now, connection.user, "online")',
        by=("presence",),
    ),
    one(
        "nobody is away",
        HANDLER,
        "return self._signals.presence(self._epoch + now, connection.user, frame.state)",
        "return NOTHING",
        by=("presence",),
    ),
    one(
        "who is absent is a receiver for twice as long",
        SESSIONS,
        "self._absences: Line[tuple[Member, float]] = Line(config.retention_s, _is_absent)",
        "self._absences: Line[tuple[Member, float]] = Line(2 * config.retention_s, _is_absent)",
        by=("receivers",),
    ),
    one(
        "who is absent is a receiver in her own session for twice as long",
        HANDLER,
        "            user.receives_until = now + self.config.retention_s\n        return",
        "            user.receives_until = now + 2 * self.config.retention_s\n        return",
        by=("receivers",),
    ),
    # What the log does not take.
    one(
        "what the log did not take counts all the same",
        HANDLER,
        "                sender.limiter.forgive(entry.since)\n",
        "                assert entry.since <= now\n",
        by=("limit_reached", "retry_after"),
    ),
    one(
        "for what the log did not take the oldest message is given back",
        "core/limiter.py",
        "        if at in self._moments:\n            self._moments.remove(at)\n",
        "        if self._moments:\n            del self._moments[0]\n",
        by=("limit", "retry_after"),
    ),
    one(
        "a bucket is given back nothing for what the log did not take",
        "core/limiter.py",
        "self._tokens = min(float(self._limit), self._tokens + 1.0)",
        "self._tokens = min(float(self._limit), self._tokens)",
        by=("limit_reached",),
    ),
    # The two algorithms that do not slide.
    one(
        "a bucket of messages fills to twice its size",
        "core/limiter.py",
        _LIMITER,
        _BUCKET.format("limiter._limit *= 2"),
        by=("limit",),
    ),
    one(
        "a bucket of messages fills half as fast",
        "core/limiter.py",
        _LIMITER,
        _BUCKET.format("limiter._per_s /= 2"),
        by=("limit_reached",),
    ),
    one(
        "a fixed window begins with the first message in it",
        "core/limiter.py",
        "if window != self._window:\n            self._window = window",
        "if window > self._window + 1:\n            self._window = window",
        by=("limit_reached",),
    ),
)
"""All of them."""
