"""Acks in arrays: those that the client itself would send."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from chatsim.core.client import ChatClient, ClientConfig
from chatsim.core.effects import ClientEffects, Transmit
from chatsim.core.frames import AckIn, Joined, Message, RateLimit, Welcome
from chatsim.flow.acks import ack_moments

DELAY_S = ClientConfig().ack_delay_s
# Odd thousandths, so that no message comes in the very moment of a delayed ack, where either order is right.
GAPS = st.lists(st.lists(st.integers(0, 120).map(lambda n: (2 * n + 1) / 7001.0 * 10), max_size=25), max_size=6)


def acks_of_client(moments: list[float]) -> list[tuple[float, int]]:
    """When a client that receives messages at these moments acks, and up to which."""
    client = ChatClient(ClientConfig(), user="ann", seed=1)
    client.join(0.0, "s")
    client.start(0.0)
    client.opened(0.0)
    limit = RateLimit(60, 60.0)
    client.receive(
        0.0,
        Welcome(
            connection="c",
            user="ann",
            server_time=0.0,
            ping_interval_s=3e4,
            pong_timeout_s=3e4,
            expires_in_s=3e4,
            message_bytes_max=65536,
            rate_limit=limit,
        ),
    )
    client.receive(0.0, Joined(session="s", epoch=1, seq=0, recovered=False, replayed=0, participants=()))
    found = []
    for seq, at in enumerate([*moments, np.inf], 1):
        while client.due_at <= min(at, 1e6):
            due_at = client.due_at
            found += acks(due_at, client.wake(due_at))
        if at < np.inf:
            found += acks(at, client.receive(at, Message(f"m{seq}", "s", 1, seq, "bob", Raw(b"1"), 0.0, 1)))
    return found


def acks(at: float, effects: ClientEffects) -> list[tuple[float, int]]:
    sent = [effect.message for effect in effects if isinstance(effect, Transmit)]
    return [(at, ack.up_to) for ack in sent if isinstance(ack, AckIn) and isinstance(ack.up_to, int)]


@given(GAPS)
def test_the_same_acks_as_the_client(gaps: list[list[float]]) -> None:
    moments = [np.cumsum(np.array(each)).tolist() for each in gaps if each]
    first = np.array([place == 0 for each in moments for place in range(len(each))], dtype=np.bool_)
    received_at = np.array([at for each in moments for at in each])
    begins, sent_at = ack_moments(first, received_at, np.full(first.size, -np.inf), DELAY_S)
    which = np.cumsum(begins)
    at = 0
    for each in moments:
        mine = which[at : at + len(each)]
        sent = sent_at[at : at + len(each)]
        at += len(each)
        found = [(float(sent[mine == ack][0]), int(np.flatnonzero(mine == ack)[-1]) + 1) for ack in np.unique(mine)]
        expected = acks_of_client(each)
        assert [up_to for _, up_to in found] == [up_to for _, up_to in expected]
        assert np.allclose([moment for moment, _ in found], [moment for moment, _ in expected], rtol=0, atol=1e-12)


def test_an_ack_before_the_block_counts() -> None:
    first = np.array([True, False])
    begins, sent_at = ack_moments(first, np.array([1.0, 1.1]), np.array([0.95, 0.95]), 0.2)
    assert begins.tolist() == [True, False]
    assert np.allclose(sent_at, 1.15)
