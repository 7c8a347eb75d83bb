"""Bugs planted in the asyncio shell, in what it reads of tokens, and in the driver of its clients: looked for on the
virtual wire, which plays them all, or where that and the simulation are to agree.

Rule: as for those of the core (`mutants`): a mistake that somebody could make, in one place, found by a rule.
"""

from __future__ import annotations

from functools import partial

from tests.explore.mutants import CONTROL, Edit, Mutant, one

OUTLETS, DRIVER, PROTOCOL = "live/outlets.py", "live/driver.py", "live/protocol.py"
PEER, CROWD, TOKENS = "live/peer.py", "live/crowd.py", "core/tokens.py"

_one = partial(one, wire="virtual")
"""Where what it takes is rare, the seeds begin shortly before: on this wire each costs several times as much."""

SHELL_MUTANTS = (
    _one(
        "the handler never hears of pressure",
        OUTLETS,
        "self._press = press",
        "self._press: Callable[[Outlet], None] = lambda outlet: None",
        by=("queue_limit",),
        first=45,
    ),
    _one(
        "small limits are not looked at",
        OUTLETS,
        "self._look_frames = min(LOOK_FRAMES, frames_max // 2)",
        "self._look_frames = LOOK_FRAMES",
        by=("queue_limit",),
        first=45,
    ),
    _one(
        "what waited is dropped when the transport is empty",
        OUTLETS,
        "        if outlet.queue:\n            self._soil(outlet)\n\n    # What is to be said.",
        "        outlet.queue.clear()\n\n    # What is to be said.",
        by=("written",),
        first=160,
    ),
    _one(
        "what waited is forgotten when the transport is empty",
        OUTLETS,
        "        if outlet.queue:\n            self._soil(outlet)\n\n    # What is to be said.",
        "        assert outlet.queue is not None\n\n    # What is to be said.",
        by=("written",),
        first=160,
    ),
    _one(
        "a close drops what was queued before it",
        OUTLETS,
        "outlet.queue.append(close_frame(code, reason))",
        "outlet.queue[:] = [close_frame(code, reason)]",
        by=("written",),
        first=25,
    ),
    _one(
        "a flush turns the order around",
        OUTLETS,
        'data = queue[0] if count == 1 else b"".join(queue)',
        'data = queue[0] if count == 1 else b"".join(reversed(queue))',
        by=("written",),
    ),
    _one(
        "the timer stays where it was",
        DRIVER,
        "if self._wake_at() < self._timer_at:\n            self._rearm()",
        "if self._timer is None:\n            self._rearm()",
        by=("warning", "typing", "rest", "retries", "detection", "presence"),
    ),
    _one(
        "effects are performed in another order",
        DRIVER,
        "for effect in effects:\n                perform[type(effect)](effect)",
        "for effect in reversed(effects):\n                perform[type(effect)](effect)",
        by=("written",),
    ),
    _one(
        "the log's refusal is lost",
        DRIVER,
        "for record in failed:\n            now = self.now()",
        "for record in failed[:0]:\n            now = self.now()",
        by=("convergence", "answered"),
    ),
    _one(
        "a message is taken for stored before the log has it",
        DRIVER,
        "        if record is LATER:\n            return\n",
        "        if record is LATER:\n"
        "            places = self.__dict__.setdefault('_places', {})\n"
        "            asked = effect.record\n"
        "            seq = places[asked.session] = places.get(asked.session, 0) + 1\n"
        "            record = asked.placed(asked.epoch, seq, f'm{asked.session}-{seq}')\n",
        by=("ack_after_store",),
    ),
    _one(
        "a notice at the end of a turn names the first message only",
        DRIVER,
        "message_ids=tuple(message_ids))",
        "message_ids=tuple(message_ids[:1]))",
        by=("written",),
    ),
    Mutant(
        "a notice that waits for company is said last",
        (Edit(DRIVER, "            self._let_go()\n            return False\n", "            return False\n"),),
        "agreement",
        ("one_run",),
        70,
    ),
    Mutant(
        "two frames of one read change places",
        (
            Edit(
                PROTOCOL,
                "                payload, at = found\n",
                "                payload, at = found\n"
                "                after = short_text(data, at, self.short_max)\n"
                "                if after is not None:\n"
                "                    self._text(outlet, after[0])\n"
                "                    at = after[1]\n",
            ),
        ),
        "virtual",
        ("heard",),
    ),
    _one(
        "of the frames of one read the last is lost",
        PROTOCOL,
        "                self._text(outlet, payload)\n",
        "                if not several or at < len(data):\n                    self._text(outlet, payload)\n",
        by=("heard",),
    ),
    _one(
        "a binary frame is read as text",
        PROTOCOL,
        'self.gate.driver.violated(outlet, "binary", "frames are text")',
        "self._text(outlet, bytes(frame.data))",
        by=("heard",),
    ),
    _one(
        "what was answered in the read of a binary frame is dropped",
        PROTOCOL,
        '            self.gate.driver.violated(outlet, "binary", "frames are text")\n',
        "            outlet.queue.clear()\n"
        '            self.gate.driver.violated(outlet, "binary", "frames are text")\n',
        by=("written",),
    ),
    _one(
        "text that is no UTF-8 is taken for bad JSON",
        PROTOCOL,
        "if not data.isascii() and not _is_utf8(data):",
        "if not data and not _is_utf8(data):",
        by=("heard",),
    ),
    _one(
        "who was frozen has lost what came",
        PEER,
        "for what in frozen:",
        "for what in [what for what in frozen if what is None]:",
        by=("convergence", "acked_not_lost"),
        first=30,
    ),
    _one(
        "of what arrives together a client reads the last",
        PEER,
        "for frame in self._slicer.cut(data):",
        "for frame in list(self._slicer.cut(data))[-1:]:",
        by=("convergence", "acked_not_lost"),
    ),
    _one(
        "the gate has room for everybody",
        "live/gate.py",
        "return None if reason is None else Denial",
        'return None if reason != "draining" else Denial',
        by=("admission", "bounded"),
    ),
    # What the simulation has no bytes for.
    _one(
        "whoever has signed a token it is good",
        TOKENS,
        "return any(check.verify(text, key, signature) for check, key in self._checks.get(algorithm, ()))",
        "return bool(text) and bool(signature) and algorithm in self._checks",
        by=("good_token", "refresh"),
    ),
    Mutant(
        "a token that nobody has signed is good",
        (
            Edit(TOKENS, "if header.alg not in keys.algorithms:", 'if header.alg not in (*keys.algorithms, "none"):'),
            Edit(
                TOKENS,
                "if not keys.signed(header.alg, text, signature):",
                'if header.alg != "none" and not keys.signed(header.alg, text, signature):',
            ),
        ),
        "virtual",
        ("good_token",),
    ),
    _one(
        "the handler hears nothing of a token that the gate refuses",
        PROTOCOL,
        "            self.gate.driver.refuse_refresh(outlet, found.code)",
        "            assert found.code",
        by=("heard",),
    ),
    _one(
        "a client forgets its alarms",
        CROWD,
        "        device.armed_at = wake_at = device.client.wake_at()\n",
        "        device.armed_at, wake_at = inf, device.client.wake_at()\n",
        by=("convergence",),
    ),
)
"""All of them."""

CONTROL_ON_VIRTUAL = CONTROL._replace(wire="virtual")
