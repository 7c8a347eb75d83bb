"""What frames say on their arrows."""

from __future__ import annotations

import msgspec
import pytest

from chatsim.core import frames as f
from chatsim.timeline.words import Tone, of_client, of_server

NUMBERS = {"m1": 1, "m2": 2}
JOINED = f.Joined(session="s", epoch=1, seq=4, recovered=True, replayed=2, participants=())
GIVEN_UP = f.Undelivered(message_id="m9", session="s", user="bob", reason="no_ack")
RAW = msgspec.Raw(b'"x"')


@pytest.mark.parametrize(
    ("frame", "words", "session"),
    [
        (f.Say("17", "s", RAW), "message 17, s", "s"),
        (f.AckIn("s", 4), "ack s up to #4", "s"),
        (f.AckIn(message_id="m2"), "ack #2", ""),
        (f.AckIn(message_id="m9"), "ack m9", ""),
        (f.TypingIn("s", False), "typing ends, s", "s"),
        (f.PresenceIn("away"), "presence away", ""),
        (f.HeartbeatIn(), "heartbeat", ""),
        (f.StatusIn("join", "s", 1, 7, "c1"), "join s after #7, replaces c1", "s"),
        (f.StatusIn("refresh"), "refresh", ""),
    ],
)
def test_of_clients(frame: f.ClientFrame, words: str, session: str) -> None:
    found, _, about = of_client(frame, NUMBERS)
    assert (found, about) == (words, session)


@pytest.mark.parametrize(
    ("frame", "words", "tone"),
    [
        (f.Message("m1", "s", 1, 1, "ann", RAW, 0.0, 1), "message s #1 of ann", "plain"),
        (f.Message("m1", "s", 1, 1, "ann", RAW, 0.0, 3), "attempt 3: s #1 of ann", "retry"),
        (f.Ack("17", "m1", "s", 1, 1, True), "ack 17 = s #1, a duplicate", "good"),
        (f.Typing("s", "ann", True), "ann types", "quiet"),
        (f.Typing("s", "ann", False), "ann types no more", "quiet"),
        (f.Presence("ann", "away", 0.0), "ann is away", "quiet"),
        (f.Heartbeat(0.0, {}), "heartbeat", "quiet"),
        (f.Error("rate_limited", "slower", "17", 300), "error rate_limited, message 17, again in 300 ms", "error"),
        (JOINED, "joined s at #4, 2 replayed", "plain"),
        (f.Left(session="s", reason="ended"), "left s: ended", "close"),
        (f.Refreshed(expires_in_s=60.0), "refreshed, 60 s left", "good"),
        (f.Delivered(session="s", user="bob", message_ids=("m1",)), "delivered #1 to bob", "good"),
        (f.Delivered(session="s", user="bob", message_ids=("m1", "m2")), "delivered #1..#2 to bob", "good"),
        (GIVEN_UP, "UNDELIVERED m9 to bob: no_ack", "error"),
        (f.TokenExpiring(expires_in_s=60.0), "token ends in 60 s", "retry"),
        (f.Draining(reconnect_after_ms=20), "draining, back in 20 ms", "close"),
    ],
)
def test_of_servers(frame: f.ServerFrame, words: str, tone: Tone) -> None:
    assert of_server(frame, NUMBERS)[:2] == (words, tone)
