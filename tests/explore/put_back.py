"""Bugs that exploring has found, put back: each as it was written before it was mended, beside the scenario kept of it.

Rule: as for the mutants: one bug, and everything else as it is. Its scenario has to show it on the wire of the mutant:
by a promise, by an invariant or, on `agreement`, by what the two wires do differently.
Here stand those of which a test of one part of the package would not say what becomes of it for people.
"""

from __future__ import annotations

from typing import Final

from tests.explore.mutants import Mutant, one

CLIENT, NODE, PROTOCOL = "core/client.py", "sim/node.py", "live/protocol.py"

PUT_BACK: Final[tuple[tuple[str, Mutant], ...]] = (
    (
        "gone-before-the-first-post",
        one(
            "her time to come back begins with the first post",
            "core/sessions.py",
            "self.await_return(owner.gone_at, session, owner)",
            "self.await_return(now, session, owner)",
        ),
    ),
    (
        "put-out-while-down",
        one(
            "what had to wait is done after what is ordered at that moment",
            NODE,
            "if not self.up or self._orders_waiting:",
            "if not self.up:",
            wire="agreement",
        ),
    ),
    (
        "broken-off-while-slow",
        one(
            "where there is a bandwidth the end overtakes what is on its way",
            "network/link.py",
            "return at if waits_bytes > HELD_BYTES_MAX else max(at, self._last_at)",
            "return max(at, self._last_at) if self._bandwidth is None else at",
            wire="agreement",
        ),
    ),
    (
        "pong-between-acks",
        one(
            "in simulation a pong ends a read",
            NODE,
            "elif self.engine.take_one(now, self.ponged, pipe):",
            "elif now < 0.0 and self.engine.take_one(now, self.ponged, pipe):",
            wire="agreement",
        ),
    ),
    (
        "pong-between-acks",
        one(
            "on a socket a pong ends a read",
            PROTOCOL,
            "            self.gate.driver.heard(count, at)\n        return (data[at:] if at else data), several",
            "            self.gate.driver.heard(count, at)\n"
            "        if several:\n            self.gate.driver.release()\n        return data[at:], False",
            wire="agreement",
        ),
    ),
    (
        "place-of-the-closed",
        one(
            "whoever has the server's last word on its way to her has gone",
            "live/peer.py",
            "        now = self._calendar.now()\n        at = self.down.arrival(now, 0)\n        if not self._reading",
            "        now = self._calendar.now()\n        if now >= 0.0:\n            return False\n"
            "        at = self.down.arrival(now, 0)\n        if not self._reading",
            wire="agreement",
        ),
    ),
    (
        "too-large-behind-a-pong",
        one(
            "the parser closes by itself, beside a control frame",
            PROTOCOL,
            'b"".join(data for data in self._parser.data_to_send() if not data.startswith(_CLOSE_HEAD))',
            'b"".join(self._parser.data_to_send())',
            wire="virtual",
        ),
    ),
    (
        "two-of-one-moment",
        one(
            "of what was written at one moment all is counted where the log has taken one",
            "verdict/invariants/stores.py",
            "        told = Counter(snapshot.said) - Counter((key[0], sent_at) for key, sent_at in stored)\n",
            "        some = set(snapshot.said)\n"
            "        more = [(key, at) for _, key, at in self._lately if key in self.under_way]\n"
            "        stored += [(key, at) for key, at in more if (key[0], at) in some]\n"
            "        told = Counter[tuple[str, float]]()\n",
        ),
    ),
    (
        "leave-put-off",
        one(
            "nobody wakes for what was put off in a flood",
            "people/people.py",
            "        self.perform(now, device, effects)\n        if device.client.wake_at() < device.armed_at:",
            "        self.perform(now, device, effects)\n        if now < 0.0:",
            wire="virtual",
        ),
    ),
    (
        "left-before-the-replay",
        one(
            "who has left before the answer has seen what is replayed behind it",
            CLIENT,
            "            left.begin_at(frame)\n",
            "            left.last_seq, left.epoch = frame.seq, frame.epoch\n",
        ),
    ),
    (
        "left-and-back-at-once",
        one(
            "an answer from before she left is one to her next join",
            CLIENT,
            "if left is not None and (place is None or self.leaving(frame.session)):",
            "if left is not None and place is None:",
        ),
    ),
)
"""The scenario's name and its bug."""
