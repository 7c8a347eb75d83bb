"""What is said to a peer that is gone without a word: how long nobody knows it, and what comes of the messages."""

from __future__ import annotations

import pytest

from chatsim.core.codes import STALE
from chatsim.core.config import HandlerConfig
from chatsim.core.frames import Undelivered
from tests.core.world import World

GIVEN_UP_AFTER_S = 120.0
"""The first send and three retries 30 s apart, and the last has its 30 s too."""


@pytest.mark.parametrize("seed", range(10))
def test_in_baseline_what_is_said_in_the_first_150_s_is_given_up_before_anyone_knows(seed: int) -> None:
    world = World(HandlerConfig(reliability="baseline"), seed=seed)
    world.arrive("ann", "bob")
    gone_at = 100.0 + 3.7 * seed
    world.until(gone_at)
    world.dead.add("bob")
    said_at = []
    for number in range(42):
        world.until(gone_at + 5.0 * number)
        said_at.append(world.now)
        world.say("ann", f"{number}")
    world.until(gone_at + 700.0)
    [(closed_at, closed, code)] = world.closes()
    # Silence counts from the last pong, which is up to 30 s older, and the sweep comes by every 30 s.
    assert (closed, code) == ("bob", STALE)
    assert gone_at + 270.0 < closed_at <= gone_at + 330.0
    told_at = [at for at, _ in world.dated("ann", Undelivered)]
    assert len(told_at) == len(said_at)
    for said, told in zip(said_at[:31], told_at[:31], strict=True):
        assert told == pytest.approx(said + GIVEN_UP_AFTER_S)
        assert told < closed_at
    world.balance()
