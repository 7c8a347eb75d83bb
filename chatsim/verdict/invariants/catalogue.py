"""What must hold in every run, on every wire: each invariant with its name and its sentence.

Decides what is called a violation and which of them are kept. Rule: the sentence says what is promised, the detail who
broke it; the first violation of each name is told in full, the others are counted.
How it is found out is left to the parts beside this one.
"""

from __future__ import annotations

from typing import Final

import msgspec

INVARIANTS: Final[dict[str, str]] = {
    "time": "The time of the handler's inputs never goes back.",
    "rest": "A handler that was woken wants to be woken next at a later moment.",
    "gone": "No effect names a connection that is not open.",
    "welcome": "The first frame of every connection is its welcome, and what it says is so.",
    "good_token": "Nobody comes in by a token that is forged, has ended by the node's clock, or does not hold yet.",
    "admission": "As many come in as there is room for and the rates allow, of those who are new, and who come back.",
    "connection_limit": "Nobody has more connections than the settings allow.",
    "seq": "The messages of a session are numbered 1, 2, 3 ... without gaps within an epoch.",
    "ack_after_store": "A message is acked to its author alone, as what the log has stored, and never before that.",
    "stored_is_kept": "What was stored before a node's end, messages and revocations, is there after it.",
    "stored_once": "An id that is repeated within its time is stored once.",
    "answered": "Every append is answered.",
    "duplicate": "Who repeats an id that is stored is told so.",
    "heartbeat": "A heartbeat comes back with what it brought, the time, and the newest number of each session joined.",
    "warning": "Whoever's token ends is told so in time, once, and how long it is still good.",
    "fan_out": "A stored message goes at once to all who are joined and have caught up, but to the one that wrote it.",
    "as_written": "A message goes out as the log has it, however often: its author, its place, its body.",
    "participant": "Nobody is let into a session, or sent a message of one, without taking part in it.",
    "kept_out": "Nobody is kept out of a session that she may be in, and that has room for her.",
    "author": "Nobody's message is taken for a session that she takes no part in.",
    "ordered": "An order that ends something is followed, and told to all who were in it.",
    "session_ends": "A session that is opened for a time ends with it, and tells all; no other ends by itself.",
    "eviction": "Who has too many connections loses the oldest of them, and no more than that.",
    "retry_after": "Who sends too much is told when one more will be taken, to the millisecond.",
    "replay": "A resume brings all that was missed, in order and before anything new, in parts, or nothing.",
    "recovery": "A resume is refused if, and only if, some of what it asks for has left retention or its epoch.",
    "flood": "Who sends too many frames is closed when that has gone on for another window, and not before.",
    "violations": "What is no frame is answered up to a window's limit; the next, or what is no text, is the end.",
    "limit": "No user has more messages accepted than her limit and its algorithm allow, over all connections.",
    "frame_limit": "A frame is refused as one too many if, and only if, the limit's worth came in the window before.",
    "limit_reached": "Who is refused for her rate had the limit's worth of messages taken, as its algorithm counts.",
    "retries": "A message is sent again one interval after the last time, and no more often than the settings say.",
    "retry_after_ack": "What a user has acked is not sent to her again.",
    "given_up": "A message is given up when all retries are spent, when it left retention, or when its receiver did.",
    "delivered": "Nobody is said to have a message that she has not acked.",
    "notices": "What became of a message is told to all connections of its author, and to nobody else.",
    "accounted": "Everybody who was a receiver when a message was stored has it, waits for it, or was reported.",
    "receivers": "Only who was there when a message was stored, or gone for less than retention, is owed it.",
    "expired_refused": "A frame is refused as expired if, and only if, the token of its connection has ended.",
    "refresh": "A new token that is good is taken, one that has ended changes nothing, any other ends the connection.",
    "token_end": "Nobody stays connected beyond the grace of an ended token.",
    "revoked": "A revocation for which there is room closes all connections it is about at once, and keeps them out.",
    "detection": "Every peer that has fallen silent is closed within its bound.",
    "closed_for_cause": "Who is closed as silent, stale or expired has been so for as long as the settings say.",
    "close_code": "Who is closed has given the cause that the code names.",
    "replaced": "Who resumes has her former connection closed at once.",
    "queue_limit": "Nobody stays connected with more waiting for her than the settings allow.",
    "written": "What the handler sends is written at once, all of it and in that order, and before the close.",
    "heard": "What a client writes reaches the handler at once, all of it and in that order.",
    "farewell": "Who is closed for a drain has heard of it before, and when to be back: each a moment of her own.",
    "drained": "A node that drains lets nobody in, and closes everybody, one after the other, within its window.",
    "presence": "The others hear who comes at once, and who went after the grace, each with the moment, and no more.",
    "typing": "Typing is told at once and once an interval at most, and ends when it is stopped or not renewed.",
    "others": "What is told of a user reaches, as it is, all in the session but that user and those who lag.",
    "spared": "Who lagged is told the newest of what she was spared, the oldest first, as soon as there is room.",
    "pool": "The handler's maps agree with each other, and with the connections that are open.",
    "ledger": "Messages are conserved: owed are those delivered, those undelivered and those that wait.",
    "leftovers": "No timer, ledger or other entry outlives what it is for.",
    "bounded": "Every collection stays within its limit.",
    "comes_back": "Who loses her connection dials again when she was told to, or after a wait that grows, or never.",
    "resume": "Who comes back names her former connection, at the door and in each join, and how far she had come.",
    "silence": "Who hears nothing for ping interval, pong timeout and 5 s hangs up.",
    "seen_once": "Nobody sees a message twice.",
    "seen_in_order": "Nobody sees a message behind a later one.",
    "acked_not_lost": "What was acked reaches every receiver, waits for her, or is reported as undelivered.",
    "convergence": "Once the faults are over, everything that was under way comes to an end within its bound.",
    "calm": "Nothing raises, whatever peers, links and logs do.",
    "one_run": "The simulation and the asyncio server on a virtual clock do the same, to the last frame and moment.",
    "same_again": "A run is a function of its scenario: played again it is the same to the last byte.",
}
"""Every invariant by name."""

KEPT_MAX: Final = 20
"""So many violations of a run are told; the rest is counted."""


class Violation(msgspec.Struct, frozen=True):
    """One broken invariant: its `name`, when (s), and who or what broke it."""

    name: str
    at: float
    detail: str

    @property
    def sentence(self) -> str:
        """What was promised."""
        return INVARIANTS[self.name]

    def __str__(self) -> str:
        return f"{self.name} at {self.at:g} s: {self.sentence} {self.detail}"


class Findings:
    """The violations of one run: the first of each name, in the order in which they were found."""

    def __init__(self) -> None:
        self.count = 0
        self._first: dict[str, Violation] = {}

    def add(self, name: str, now: float, detail: str) -> None:
        """Note a violation (`now` in s)."""
        assert name in INVARIANTS, name
        self.count += 1
        if name not in self._first and len(self._first) < KEPT_MAX:
            self._first[name] = Violation(name, now, detail)

    def all(self) -> list[Violation]:
        """The first violation of each name."""
        return list(self._first.values())
