"""Bugs planted in the client and in what carries it: when it dials again, what it asks for, how long it bears silence.

Rule: as for those of the core (`mutants`): a mistake that somebody could make, in one place, found by a rule.
"""

from __future__ import annotations

from tests.explore.mutants import one

CLIENT = "core/client.py"

CLIENT_MUTANTS = (
    # Coming back.
    one(
        "a client dials again at once",
        CLIENT,
        "after_s = self._backoff_s(self._attempts)",
        "after_s = 0.0",
        by=("comes_back",),
    ),
    one(
        "a client waits for less than the protocol says",
        CLIENT,
        "return min(config.backoff_s_max, config.backoff_base_s + self._dice.uniform() * spread_s)",
        "return min(config.backoff_s_max, self._dice.uniform() * spread_s)",
        by=("comes_back",),
    ),
    one(
        "a client waits for longer and longer however long it was there",
        CLIENT,
        "if now - self._opened_at >= self._config.stable_after_s:",
        "if now - self._opened_at >= self._config.stable_after_s * 1e6:",
        by=("comes_back",),
    ),
    one(
        "a client does not wait for as long as a drain tells it",
        CLIENT,
        "after_s, self._reconnect_after_s = self._reconnect_after_s, None",
        "after_s, self._reconnect_after_s = None, None",
        by=("comes_back",),
    ),
    one(
        "a client does not wait for as long as a full node tells it",
        CLIENT,
        "return self._dial_again(now, None if retry_after_s is None else min(retry_after_s, TOLD_S_MAX))",
        "return self._dial_again(now, None)",
        by=("comes_back",),
    ),
    one(
        "a client does not wait for the end of its flood",
        CLIENT,
        "if code == FLOODED and self._flooded_until > now:",
        "if code == FLOODED and self._flooded_until > inf:",
        by=("comes_back",),
    ),
    one(
        "a client comes back though its token was revoked",
        CLIENT,
        "if code in TERMINAL or 4500 <= code < 5000 or not self._config.reconnect:",
        "if code in TERMINAL or 4502 <= code < 5000 or not self._config.reconnect:",
        by=("comes_back",),
    ),
    one(
        "a client comes back after a binary frame",
        CLIENT,
        "TERMINAL = frozenset({1000, 1003, 1007, 1009})",
        "TERMINAL = frozenset({1000, 1007, 1009})",
        by=("comes_back",),
    ),
    one(
        "a client does not come back after it was too slow",
        CLIENT,
        "if code in TERMINAL or 4500 <= code < 5000 or not self._config.reconnect:",
        "if code in TERMINAL or 4000 <= code < 5000 or not self._config.reconnect:",
        by=("comes_back",),
    ),
    one(
        "the crowd dials sooner than its clients ask it to",
        "sim/crowd.py",
        "self.engine.at(now + after_s, self._dial, device, serial)",
        "self.engine.at(now + after_s / 2, self._dial, device, serial)",
        by=("comes_back",),
    ),
    one(
        "the crowd dials at once whatever its clients ask it",
        "live/crowd.py",
        "self.calendar.at(now + after_s, self._dial, device, serial)",
        "self.calendar.at(now, self._dial, device, serial)",
        wire="virtual",
        by=("comes_back",),
    ),
    # Resuming.
    one(
        "a client shows nobody that it comes back",
        CLIENT,
        "        return self._former\n",
        '        return ""\n',
        by=("resume",),
    ),
    one(
        "the crowd shows nobody that its clients come back",
        "live/peer.py",
        '{quote(former)}" if former else url',
        '{quote(former)}" if not url else url',
        wire="virtual",
        by=("resume",),
    ),
    one(
        "a client knows its newest connection only",
        CLIENT,
        "self._former = self.connection or self._former",
        "self._former = self.connection",
        by=("resume",),
    ),
    one(
        "a client replaces nobody when it resumes",
        CLIENT,
        'return Transmit(StatusIn("join", session, place.epoch, place.last_seq, replaces))',
        'return Transmit(StatusIn("join", session, place.epoch, place.last_seq))',
        by=("resume",),
    ),
    one(
        "a client joins anew whenever it comes back",
        CLIENT,
        "if place.last_seq is None:\n            return Transmit",
        "if place.last_seq is None or self._former:\n            return Transmit",
        by=("resume",),
    ),
    # Silence.
    one(
        "a client waits for ever for a silent server",
        CLIENT,
        "return min(self.due_at, self._heard_at + self._silence_s)",
        "return self.due_at",
        by=("silence", "convergence"),
    ),
    one(
        "a client bears silence for twice as long",
        CLIENT,
        "self._silence_s = frame.ping_interval_s + frame.pong_timeout_s + self._config.silence_margin_s",
        "self._silence_s = 2 * (frame.ping_interval_s + frame.pong_timeout_s + self._config.silence_margin_s)",
        by=("silence", "convergence"),
    ),
)
"""All of them."""
