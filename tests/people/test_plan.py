"""The plan: who comes when and means to send what when, whatever the run does."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsim.errors import UsageError
from chatsim.people.plan import BODY_BYTES_MIN, Plan, User
from chatsim.people.streams import Streams
from chatsim.scenario.events import Arrive, VictimEvent
from chatsim.scenario.model import Scenario
from tests.thorough import examples

POISSON = {"arrivals": "poisson", "rate": "6/min"}


def scenario(*groups: dict[str, Any], folder: Path | None = None, **more: Any) -> Scenario:
    named = [{"name": f"g{number}", "users": 4} | group for number, group in enumerate(groups)]
    words = {"name": "s", "duration": "5min", "expect": ["lost == 0"], "groups": named} | more
    return Scenario.of(words, folder=folder)


def plan(*groups: dict[str, Any], seed: int = 1, folder: Path | None = None, **more: Any) -> Plan:
    return Plan(scenario(*groups, folder=folder, **more), Streams(seed))


def moments_of(made: Plan, user: int) -> list[float]:
    found: list[float] = made.at_s[made.user == user].tolist()
    return found


def test_users_have_names_and_sessions_of_their_group() -> None:
    made = plan({"users": 5, "session_size": 2, "connections_per_user": 3}, {"users": 1})
    assert [(user.number, user.name, user.index, user.session) for user in made.users] == [
        (0, "g0-0001", 0, "g0-s0001"),
        (1, "g0-0002", 1, "g0-s0001"),
        (2, "g0-0003", 2, "g0-s0002"),
        (3, "g0-0004", 3, "g0-s0002"),
        (4, "g0-0005", 4, "g0-s0003"),
        (5, "g1-0001", 0, "g1-s0001"),
    ]
    assert made.users[0].connections == 3
    assert [user.group for user in made.users] == ["g0"] * 5 + ["g1"]


def test_connect_moments_are_ordered_and_spread_evenly() -> None:
    """Kolmogorov-Smirnov against the uniform law: a limit of 2.0 has a false alarm rate of 0.07 %, the seed fixed."""
    made = plan({"users": 1000, "arrive_over": "20s"})
    at = np.array([user.connect_at for user in made.users])
    assert np.all(np.diff(at) >= 0)
    steps = np.arange(1001) / 1000
    assert np.sqrt(1000) * max(np.max(steps[1:] - at / 20), np.max(at / 20 - steps[:-1])) < 2.0
    assert {user.connect_at for user in plan({}).users} == {0.0}


def test_arriving_users_come_at_their_event_and_send_only_then() -> None:
    made = plan(
        {"session_size": 2, "messages": POISSON},
        {"messages": POISSON},
        events=[
            {"at": "2min", "do": "arrive", "users": 3, "group": "g0"},
            {"at": "1min", "do": "arrive", "users": 1, "group": "g0"},
        ],
    )
    assert [user.connect_at for user in made.users] == [0.0] * 4 + [60.0, 120.0, 120.0, 120.0] + [0.0] * 4
    assert made.users[7].session == "g0-s0004"
    for user in range(4, 8):
        assert min(moments_of(made, user)) > made.users[user].connect_at


KINDS = [
    POISSON,
    {"arrivals": "periodic", "rate": "7/min"},
    {"arrivals": "profile", "profile": [["10s", "3/min"], ["1min", 0], ["2min", "20/min"]]},
]


@examples(40)
@given(st.lists(st.sampled_from(KINDS), min_size=1, max_size=3), st.integers(0, 1000), st.integers(0, 240))
def test_moments_are_ordered_and_lie_between_connecting_and_the_end(
    kinds: list[dict[str, Any]], seed: int, arrive_s: int
) -> None:
    made = plan(*({"messages": kind, "arrive_over": f"{arrive_s}s"} for kind in kinds), seed=seed)
    connect_at = np.array([user.connect_at for user in made.users])
    assert made.at_s.shape == made.user.shape == made.body_bytes.shape
    assert np.all(np.diff(made.at_s) >= 0)
    assert np.all(made.at_s >= connect_at[made.user])
    assert np.all(made.at_s < 300.0)


def test_same_seed_same_plan_other_seed_other_plan() -> None:
    group = {"messages": POISSON, "body_bytes": {"exponential": {"mean": 100}}}
    one, same, other = plan(group), plan(group), plan(group, seed=2)
    assert np.array_equal(one.at_s, same.at_s)
    assert np.array_equal(one.body_bytes, same.body_bytes)
    assert not np.array_equal(one.at_s[:10], other.at_s[:10])


def test_more_users_and_more_groups_change_nobodys_moments_or_sizes() -> None:
    group = {"messages": POISSON, "body_bytes": {"exponential": {"mean": 100}}}
    small, large = plan(group), plan(group | {"users": 9}, {"messages": KINDS[1]})
    for user in range(4):
        assert moments_of(small, user) == moments_of(large, user)
        assert np.array_equal(small.body_bytes[small.user == user], large.body_bytes[large.user == user])


def test_a_higher_rate_keeps_the_luck() -> None:
    """Common random numbers: twice the rate gives the same moments, twice as early."""
    slow, fast = plan({"messages": POISSON}), plan({"messages": POISSON | {"rate": "12/min"}})
    for user in range(4):
        early = np.array(moments_of(slow, user)) / 2
        assert np.allclose(early, moments_of(fast, user)[: early.size], rtol=1e-12)


def test_poisson_gaps_are_exponential_and_counts_have_the_rate() -> None:
    """Kolmogorov-Smirnov of all gaps against Exp(1): limit 2.0 (false alarm 0.07 %); count within 4 sd (0.006 %)."""
    made = plan({"users": 500, "messages": POISSON}, duration="1000s")
    gaps = np.sort(np.concatenate([np.diff([0.0, *moments_of(made, user)]) for user in range(500)]) * 0.1)
    n = gaps.size
    assert abs(n - 50_000) < 4 * np.sqrt(50_000)
    height, steps = 1 - np.exp(-gaps), np.arange(n + 1) / n
    # Cutting at the end drops long gaps: a share of one gap in a hundred, which the wider limit allows for.
    assert max(np.max(steps[1:] - height), np.max(height - steps[:-1])) < 2.0 / np.sqrt(n) + 0.01


def test_profile_keeps_idle_windows_empty_and_rescaled_gaps_are_exponential() -> None:
    """Kolmogorov-Smirnov of the integrated rate's gaps against Exp(1): limit 2.0, false alarm rate 0.07 %."""
    points = [["0s", "2/s"], ["60s", 0], ["200s", "5/s"], ["250s", "0.5/s"]]
    made = plan({"users": 300, "messages": {"arrivals": "profile", "profile": points}})
    assert not np.any((made.at_s > 60) & (made.at_s < 200))
    at, total = [0.0, 60.0, 200.0, 250.0, 300.0], [0.0, 120.0, 120.0, 370.0, 395.0]
    for low, high, expected in ((0, 60, 36_000), (200, 250, 75_000), (250, 300, 7_500)):
        assert abs(np.sum((made.at_s >= low) & (made.at_s < high)) - expected) < 4 * np.sqrt(expected)
    # The first 200 gaps of each user are whole whatever the end cuts off (the 200th lies there with certainty).
    gaps = np.sort(
        np.concatenate([np.diff([0.0, *np.interp(moments_of(made, user)[:200], at, total)]) for user in range(300)])
    )
    height, steps = 1 - np.exp(-gaps), np.arange(gaps.size + 1) / gaps.size
    assert np.sqrt(gaps.size) * max(np.max(steps[1:] - height), np.max(height - steps[:-1])) < 2.0


def test_profile_is_absolute_time_for_those_who_come_late() -> None:
    points = [["0s", "5/s"], ["60s", 0], ["200s", "5/s"]]
    made = plan(
        {"users": 1, "messages": {"arrivals": "profile", "profile": points}},
        events=[{"at": "100s", "do": "arrive", "users": 50, "group": "g0"}],
    )
    late = made.at_s[made.user > 0]
    assert late.min() >= 200.0
    assert abs(late.size - 50 * 500) < 4 * np.sqrt(50 * 500)


def test_profile_that_begins_after_the_end_is_silence() -> None:
    points = [["10min", "5/s"]]
    assert plan({"messages": {"arrivals": "profile", "profile": points}}).at_s.size == 0


def test_periodic_moments_keep_their_distance_from_a_phase_of_their_own() -> None:
    made = plan({"users": 200, "messages": {"arrivals": "periodic", "rate": "6/min"}, "arrive_over": "20s"})
    phases = []
    for user in made.users:
        at = moments_of(made, user.number)
        assert np.allclose(np.diff(at), 10.0)
        assert at[-1] + 10.0 >= 300.0
        phases.append(at[0] - user.connect_at)
    assert 0 <= min(phases) < 1 < 9 < max(phases) < 10


def write_trace(folder: Path, moments: list[str]) -> dict[str, Any]:
    with (folder / "trace.csv").open("w", newline="") as file:
        csv.writer(file).writerows([moment] for moment in moments)
    return {"arrivals": "trace", "file": "trace.csv"}


def test_trace_is_dealt_in_turn_to_those_who_are_there(tmp_path: Path) -> None:
    trace = write_trace(tmp_path, ["1s", "2s", "3s", "100s", "101s", "400s"])
    events = [{"at": "50s", "do": "arrive", "users": 1, "group": "g0"}]
    made = plan({"users": 2, "messages": trace}, folder=tmp_path, events=events)
    assert made.at_s.tolist() == [1.0, 2.0, 3.0, 100.0, 101.0]
    assert made.user.tolist() == [0, 1, 0, 0, 1]


def test_trace_before_anyone_is_there_is_refused(tmp_path: Path) -> None:
    trace = write_trace(tmp_path, ["0s", "2s"])
    with pytest.raises(UsageError, match="arrive_over"):
        plan({"messages": trace, "arrive_over": "20s"}, folder=tmp_path)


def test_sizes_default_to_120_bytes_and_follow_their_distribution() -> None:
    assert set(plan({"messages": POISSON}).body_bytes.tolist()) == {120}
    made = plan({"users": 300, "messages": POISSON, "body_bytes": {"exponential": {"mean": 1000}}})
    assert made.body_bytes.dtype == np.int64
    assert made.body_bytes.min() >= BODY_BYTES_MIN
    # Exponential, so its sd is its mean: 4 standard errors, a false alarm rate of 0.006 %.
    assert abs(made.body_bytes.mean() - 1000) < 4 * 1000 / np.sqrt(made.body_bytes.size)


def test_closed_loops_get_draws_and_no_moments() -> None:
    made = plan({"messages": {"arrivals": "closed", "think": {"exponential": {"mean": "5s"}}}}, {"messages": POISSON})
    assert list(made.closed) == [0, 1, 2, 3]
    assert set(made.user.tolist()) == {4, 5, 6, 7}
    firsts = {made.closed[user].think.next() for user in range(4)}
    assert len(firsts) == 4
    assert made.closed[0].body_bytes.constant == 120.0


def test_silent_groups_send_nothing() -> None:
    made = plan({})
    assert made.at_s.size == made.user.size == made.body_bytes.size == 0
    assert not made.closed


def striking(made: Scenario) -> VictimEvent:
    event = made.events[0]
    assert isinstance(event, VictimEvent)
    return event


def strike(candidates: list[int], number: int = 0, **words: Any) -> list[int]:
    said = scenario({"users": 10}, {"users": 10}, events=[{"at": "1min", "do": "drop"} | words])
    return Plan(said, Streams(1)).victims(number, striking(said), candidates)


EVERYONE = list(range(20))


def test_whom_an_arrival_touches_are_those_who_arrive() -> None:
    events: list[dict[str, Any]] = [
        {"at": "2min", "do": "arrive", "users": 3, "group": "g0"},
        {"at": "1min", "do": "drop", "group": "g0"},
        {"at": "1min", "do": "arrive", "users": 1, "group": "g0"},
        {"at": "1min", "do": "arrive", "users": 2, "group": "g1"},
    ]
    said = scenario({"users": 2}, {"users": 1}, events=events)
    made = Plan(said, Streams(1))
    for number, event in enumerate(said.events):
        if not isinstance(event, Arrive):
            continue
        found = [made.users[user] for user in made.victims(number, event, [])]
        assert len(found) == event.users
        assert {(user.group, user.connect_at) for user in found} == {(event.group, event.at_s)}
    assert [user.number for user in made.users] == list(range(9))


def test_victims_are_chosen_by_group_share_and_count() -> None:
    assert strike(EVERYONE) == EVERYONE
    assert strike(EVERYONE, group="g1") == list(range(10, 20))
    for words, pool, count in (
        ({"share": "50%"}, set(range(20)), 10),
        ({"share": "25%", "group": "g0"}, set(range(10)), 3),
        ({"share": "1%"}, set(range(20)), 1),
        ({"count": 4, "group": "g1"}, set(range(10, 20)), 4),
    ):
        found = strike(EVERYONE, **words)
        assert len(found) == len(set(found)) == count
        assert set(found) <= pool
        assert found == sorted(found)


def test_victims_are_candidates_and_may_run_out() -> None:
    assert strike([3, 1, 12], count=3) == [1, 3, 12]
    assert strike([3], count=3) == [3]
    assert strike([], share="50%") == strike([], count=1) == []


def test_each_event_draws_its_own_victims_and_always_the_same() -> None:
    assert strike(EVERYONE, share="50%") == strike(EVERYONE[::-1], share="50%")
    assert strike(EVERYONE, share="50%") != strike(EVERYONE, 1, share="50%")


def test_victims_are_fair() -> None:
    """Each of 20 users in 400 events of 5 victims: 100 times, within 5 sd of a binomial (false alarm 0.001 %)."""
    said = scenario({"users": 20}, events=[{"at": "1min", "do": "drop", "count": 5}])
    made = Plan(said, Streams(4))
    times = Counter(user for number in range(400) for user in made.victims(number, striking(said), EVERYONE))
    assert all(abs(times[user] - 100) < 5 * np.sqrt(400 * 0.25 * 0.75) for user in EVERYONE)


def test_users_are_plain_values() -> None:
    assert plan({"users": 1}).users == [User(0, "g0-0001", "g0", 0, "g0-s0001", 1, 0.0)]
