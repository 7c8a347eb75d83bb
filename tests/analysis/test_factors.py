"""Each factor changes one thing, and what a scenario does not have is left out with its reason."""

from __future__ import annotations

from typing import Any

import pytest

from chatsim.analysis.factors import BURST_S, Side, factors
from chatsim.scenario.distributions import Distribution
from chatsim.scenario.model import Periodic, Poisson, Profile, Scenario


def scenario(messages: dict[str, Any] | None = None, **words: Any) -> Scenario:
    group = {
        "name": "hall",
        "users": 40,
        "session_size": 10,
        "arrive_over": "10s",
        "messages": messages or {"arrivals": "poisson", "rate": "30/min"},
        "network": {"latency": {"lognormal": {"median": "10ms", "p99": "30ms"}, "shift": "1ms"}},
    }
    about = {"name": "s", "duration": "3min", "warmup": "100s", "groups": [group], "expect": ["lost == 0"]}
    return Scenario.of(about | words)


def sides(name: str, of: Scenario) -> list[Side]:
    return list(next(factor for factor in factors(of) if factor.name == name).sides)


def turned(name: str, of: Scenario) -> list[Scenario]:
    found = [side.scenario for side in sides(name, of)]
    return [each for each in found if each is not None]


def test_all_factors_are_there_in_their_order() -> None:
    assert [factor.name for factor in factors(scenario())] == [
        "message rate",
        "room size",
        "burstiness",
        "network latency",
        "ping interval",
        "retry interval",
    ]


def test_one_thing_changes_and_the_seed_stays() -> None:
    base = scenario(seed=7)
    for factor in factors(base):
        for side in factor.sides:
            assert side.scenario is not None
            changed = {
                name
                for name in ("messages", "session_size", "network", "users", "arrive_over_s")
                if getattr(side.scenario.groups[0], name) != getattr(base.groups[0], name)
            }
            changed |= {"handler"} if side.scenario.handler != base.handler else set()
            assert len(changed) == 1
            assert side.scenario.seed == 7


def rate(of: Scenario) -> float:
    messages = of.groups[0].messages
    assert isinstance(messages, Poisson | Periodic)
    return messages.rate_per_s


def test_the_rate_is_turned_down_and_up() -> None:
    assert [rate(each) for each in turned("message rate", scenario())] == pytest.approx([0.4, 0.625])
    profile = scenario({"arrivals": "profile", "profile": [["0s", 0], ["20s", "1/s"]]})
    found = [each.groups[0].messages for each in turned("message rate", profile)]
    assert [each.profile for each in found if isinstance(each, Profile)] == [
        ((0.0, 0.0), (20.0, 0.8)),
        ((0.0, 0.0), (20.0, 1.25)),
    ]


def test_rooms_halve_and_double() -> None:
    assert [each.groups[0].session_size for each in turned("room size", scenario())] == [5, 20]
    assert [side.says for side in sides("room size", scenario())] == ["5", "20"]
    alone = scenario().with_({"groups.hall.session_size": 1})
    assert [side.why for side in sides("room size", alone)] == ["nobody shares a room with anybody"] * 2


def test_bursts_have_as_many_messages_in_half_of_the_time() -> None:
    even, bursts = turned("burstiness", scenario(duration="101s"))
    assert isinstance(even.groups[0].messages, Periodic)
    assert rate(even) == 0.5
    messages = bursts.groups[0].messages
    assert isinstance(messages, Profile)
    ends = [at for at, _ in messages.profile[1:]] + [101.0]
    sent = sum(rate * (end - at) for (at, rate), end in zip(messages.profile, ends, strict=True))
    assert sent == pytest.approx(0.5 * 101)
    assert {round(end - at, 6) for (at, _), end in zip(messages.profile, ends, strict=True)} == {BURST_S}


def test_silence_stays_silent_in_bursts() -> None:
    profile = scenario({"arrivals": "profile", "profile": [["0s", 0], ["178s", "1/s"]]})
    (bursts,) = turned("burstiness", profile)
    messages = bursts.groups[0].messages
    assert isinstance(messages, Profile)
    assert messages.profile[:3] == ((0.0, 0.0), (178.0, 2.0), (178.25, 0.0))


def test_latencies_are_stretched_and_keep_their_shape() -> None:
    def latency(of: Scenario) -> Distribution:
        return of.groups[0].network.latency

    base = scenario()
    half, double = turned("network latency", base)
    assert latency(half).mean == pytest.approx(latency(base).mean / 2)
    assert latency(double).mean == pytest.approx(latency(base).mean * 2)
    none = base.with_({"groups.hall.network": {"loss": "1%"}})
    assert sides("network latency", none)[0].why == "the network takes no time"


def test_periods_of_which_the_run_shows_nothing_are_left_out() -> None:
    pings, retries = (turned(name, scenario()) for name in ("ping interval", "retry interval"))
    assert [each.handler.ping_interval_s for each in pings] == [15.0, 60.0]
    assert [each.handler.retry_interval_s for each in retries] == [15.0, 60.0]
    short = scenario(duration="50s", warmup="40s")
    assert [side.scenario is None for side in sides("ping interval", short)] == [False, True]
    assert sides("ping interval", short)[1].why == "the run shows no more than 30 s of it"
    late = scenario({"arrivals": "profile", "profile": [["0s", 0], ["178s", "1/s"]]})
    assert all(side.scenario is None for side in sides("retry interval", late))


def test_what_has_no_rate_says_so() -> None:
    closed = scenario({"arrivals": {"closed": {"think": {"constant": "5s"}}}})
    assert "has no rate to be changed" in sides("message rate", closed)[0].why
    assert "cannot be made to burst" in sides("burstiness", closed)[-1].why
