"""Seconds are multiplied, rates divided, and what carries no time stays."""

from __future__ import annotations

from chatsim.scenario.distributions import Constant
from chatsim.scenario.model import Closed, Group, Network, Profile, Trace
from chatsim.scenario.scaling import scaled_words


def test_durations_rates_and_the_rest() -> None:
    group = Group.model_validate({"name": "a", "users": 3, "arrive_over": "20s"})
    assert scaled_words(group, 0.5) == {"arrive_over_s": 10.0, "token_ttl_s": 1800.0}


def test_the_network_stays() -> None:
    assert scaled_words(Network.model_validate({"latency": "3s", "loss": "1%", "bandwidth": "5Mbit/s"}), 0.1) == {}


def test_messages_of_every_kind() -> None:
    closed = Closed.model_validate({"arrivals": "closed", "think": "3s"})
    assert scaled_words(closed, 2.0) == {"think": Constant(value=6.0)}
    profile = Profile.model_validate({"arrivals": "profile", "profile": [[0, "4/s"], ["10s", 0]]})
    assert scaled_words(profile, 0.5) == {"profile": ((0.0, 8.0), (5.0, 0.0))}
    trace = Trace.model_construct(arrivals="trace", moments_s=(1.0, 2.0))
    assert scaled_words(trace, 0.5) == {"moments_s": (0.5, 1.0)}
