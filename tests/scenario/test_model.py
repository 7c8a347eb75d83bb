"""A scenario is what its words say, or every fault of them at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatsim.core.config import HandlerConfig
from chatsim.scenario import model as m
from chatsim.scenario.costs import default, free
from chatsim.scenario.distributions import Constant, Exponential
from chatsim.scenario.faults import Fault, FaultsError, dotted
from chatsim.scenario.yaml import parse_yaml
from tests.scenario.examples import EXAMPLE, group, mapping


def faults(words: dict[str, Any], folder: Path | None = None) -> dict[str, str]:
    """The faults of a mapping by path; none is an empty dictionary."""
    try:
        m.Scenario.of(words, folder=folder)
    except FaultsError as error:
        return {dotted(path): text for path, text in error.found}
    return {}


def test_the_defaults() -> None:
    made = m.Scenario.of(mapping())
    assert (made.seed, made.duration_s, made.warmup_s, made.tls, made.nodes) == (1, 60.0, 0.0, False, 1)
    assert made.handler == HandlerConfig()
    assert made.costs == default()
    assert made.log.latency == Constant(value=0.0)
    people = made.group("a")
    assert (people.users, people.connections_per_user, people.session_size, people.arrive_over_s) == (3, 1, 1, 0.0)
    assert people.messages is None
    assert people.network == m.Network()
    assert (people.network.loss, people.network.bandwidth_bits_per_s) == (0.0, None)
    assert (people.typing, people.presence, people.reconnect) == (False, False, True)
    assert (people.acks, people.ack_each) == (True, False)
    assert (people.heartbeat_s, people.token_ttl_s, people.credentials) == (None, 3600.0, "good")


def test_the_example() -> None:
    made = m.Scenario.of(parse_yaml(EXAMPLE).value)
    people = made.groups[0]
    assert (made.duration_s, made.warmup_s, made.live) == (300.0, 30.0, {"time_scale": 0.1})
    assert people.network.bandwidth_bits_per_s == 5e6
    assert [expectation.limit for expectation in made.expect] == [0.1, 0.0, 5.0]


@pytest.mark.parametrize(
    "words",
    [
        {"arrivals": "closed", "think": {"exponential": {"mean": "3s"}}},
        {"arrivals": {"closed": {"think": {"exponential": {"mean": "3s"}}}}},
    ],
)
def test_closed_arrivals(words: dict[str, Any]) -> None:
    messages = m.Scenario.of(mapping(groups=[group(messages=words)])).groups[0].messages
    assert isinstance(messages, m.Closed)
    assert messages.think == Exponential(scale=3.0)


@pytest.mark.parametrize(
    "words",
    [
        {"arrivals": "profile", "profile": [["0s", "2/s"], ["1min", 0]]},
        {"arrivals": {"profile": [[0, "2/s"], ["1min", 0]]}},
    ],
)
def test_a_profile(words: dict[str, Any]) -> None:
    messages = m.Scenario.of(mapping(groups=[group(messages=words)])).groups[0].messages
    assert isinstance(messages, m.Profile)
    assert messages.profile == ((0.0, 2.0), (60.0, 0.0))


def test_a_trace_is_read_and_sorted(tmp_path: Path) -> None:
    (tmp_path / "moments.txt").write_text("3\n1.5\n200ms\n")
    words = mapping(groups=[group(messages={"arrivals": "trace", "file": "moments.txt"})])
    messages = m.Scenario.of(words, folder=tmp_path).groups[0].messages
    assert isinstance(messages, m.Trace)
    assert messages.moments_s == (0.2, 1.5, 3.0)
    assert "is not a file" in faults(words)["groups[0].messages.file"]


@pytest.mark.parametrize(
    ("changes", "path", "hint"),
    [
        ({"sede": 1}, "sede", "did you mean seed?"),
        ({"name": "a/b"}, "name", "letters, digits"),
        ({"name": "../up"}, "name", "letters, digits"),
        ({"duration": "0s"}, "duration", "more than 0"),
        ({"seed": -1}, "seed", "at least 0"),
        ({"seed": 2**63}, "seed", "is more than 9223372036854775807"),
        ({"nodes": 2}, "nodes", "one node so far"),
        ({"requirements": [5.3]}, "requirements[0]", "quotes"),
        ({"tags": ["a", "_x"]}, "tags[1]", "is no tag"),
        ({"groups": []}, "groups", "at least one"),
        ({"groups": {"a": 1}}, "groups", "list"),
        ({"expect": []}, "expect", "at least one"),
        ({"handler": {"ping": 1}}, "handler.ping", "unknown setting"),
        ({"handler": 3}, "handler", "mapping"),
        ({"costs": {"frme": 1}}, "costs.frme", "did you mean frame?"),
        ({"log": {"latency": 3}}, "log.latency", "write 3s"),
        ({"groups": [group(credentials="forge")]}, "groups[0].credentials", "did you mean forged?"),
        ({"groups": [group(network={"loss": 10})]}, "groups[0].network.loss", "did you mean 10%?"),
        ({"groups": [group(network={"loss_": 1})]}, "groups[0].network.loss_", "did you mean loss?"),
        ({"groups": [group(messages={"arrivals": "poison"})]}, "groups[0].messages.arrivals", "did you mean poisson?"),
        ({"groups": [group(messages={"arrivals": "poisson"})]}, "groups[0].messages.rate", "required"),
        ({"groups": [group(messages={"arrivals": {"a": 1, "b": 2}})]}, "groups[0].messages.arrivals", "names 2"),
        ({"groups": [group(messages={"arrivals": {"profile": 3}})]}, "groups[0].messages.profile", "takes a list"),
        (
            {"groups": [group(messages={"arrivals": {"profile": [[0, 0]]}})]},
            "groups[0].messages.profile",
            "all rates are 0",
        ),
        (
            {"groups": [group(messages={"arrivals": {"profile": [["2s", "1/s"], ["1s", "1/s"]]}})]},
            "groups[0].messages.profile[1]",
            "in order",
        ),
        ({"events": [{"do": "drop"}]}, "events[0].at", "required"),
        ({"events": [{"at": "1s", "do": "dorp"}]}, "events[0].do", "did you mean drop?"),
        ({"events": [{"at": "1s"}]}, "events[0]", "do is required"),
        ({"events": ["drop"]}, "events[0]", "mapping"),
        ({"events": [{"at": "1s", "do": "freeze", "for": 3}]}, "events[0].for", "write 3s"),
        ({"live": {"time_scale": 0}}, "live.time_scale", "0.1"),
        ({"live": {"name": "b"}}, "live.name", "cannot be overridden"),
        ({"live": {"duration": 5}}, "live.duration", "write 5s"),
        ({"live": {"warmup": "2min"}}, "live.warmup", "shorten"),
        ({"live": {"groups": [{"name": "b"}]}}, "live.groups[0]", "there is not"),
        ({"live": 3}, "live", "mapping"),
    ],
)
def test_refusals(changes: dict[str, Any], path: str, hint: str) -> None:
    found = faults(mapping(**changes))
    assert list(found) == [path]
    assert hint in found[path]


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({"events": [{"at": "-1s", "do": "drp"}]}, {"events[0].do", "events[0].at"}),
        ({"events": [{"at": "-1s"}]}, {"events[0]", "events[0].at"}),
        ({"events": [{"do": "drp", "cuont": 3}]}, {"events[0].do", "events[0].at", "events[0].cuont"}),
        ({"events": [{"at": "1s", "do": "flod", "rate": "2/parsec"}]}, {"events[0].do", "events[0].rate"}),
        ({"events": [{"at": "1s", "do": "flod", "rate": "2/s", "for": "1s", "group": "a"}]}, {"events[0].do"}),
        (
            {"events": [{"at": "1s", "do": "zap", "for": 5, "group": 3}]},
            {f"events[0].{w}" for w in ("do", "for", "group")},
        ),
        (
            {"events": [{"at": 1, "do": "zap"}, 5, {"at": 2, "do": "drop"}]},
            {"events[0].do", "events[0].at", "events[1]", "events[2].at"},
        ),
        (
            {"groups": [group(messages={"arrivals": "poison", "rate": 5, "tink": 1})]},
            {f"groups[0].messages.{word}" for word in ("arrivals", "rate", "tink")},
        ),
        ({"groups": [group(messages={"rate": 5})]}, {"groups[0].messages", "groups[0].messages.rate"}),
        (
            {"groups": [group(messages={"arrivals": {"clozed": {"think": 5}}})]},
            {"groups[0].messages.arrivals", "groups[0].messages.think"},
        ),
        (
            {"groups": [group(messages={"arrivals": {"profile": [[1, 2], ["1s", "x"]]}})]},
            {"groups[0].messages.profile[0]", "groups[0].messages.profile[1]"},
        ),
        ({"live": {"time_scale": 0, "duration": 5}}, {"live.time_scale", "live.duration"}),
        ({"live": {"name": "b", "warmup": "2min"}}, {"live.name", "live.warmup"}),
        ({"live": {"groups": [{"name": "aa", "users": -1}]}}, {"live.groups[0]", "live.groups[0].users"}),
        ({"live": {"groups": [{"name": "x"}], "warmup": 3}}, {"live.groups[0]", "live.warmup"}),
        ({"groups": 5, "live": {"warmup": 3}}, {"groups", "live.warmup"}),
        ({"handler": {"pong": "1s", "ping_interval": "111s"}}, {"handler.pong", "handler.ping_interval"}),
        (
            {
                "groups": [group(users=0)],
                "events": [{"at": "2min", "do": "drop", "group": "b"}],
                "expect": ["lsot == 0"],
            },
            {"groups[0].users", "events[0].at", "events[0].group", "expect[0]"},
        ),
        ({"expect": ["p98(delivery_latecy, group=b) <= 1s"]}, {"expect[0]"}),
    ],
)
def test_no_fault_hides_another(changes: dict[str, Any], paths: set[str]) -> None:
    assert set(faults(mapping(**changes))) == paths


def test_one_text_may_have_several_faults() -> None:
    with pytest.raises(FaultsError) as caught:
        m.Scenario.of(mapping(expect=["p98(delivery_latecy, group=b) <= 1s"]))
    assert [text.partition(" (")[0] for _, text in caught.value.found] == [
        "unknown aggregate 'p98'",
        "unknown metric 'delivery_latecy'",
        "names the unknown group 'b'",
    ]


def test_what_is_missing_is_named() -> None:
    assert set(faults({})) == {"name", "duration", "groups", "expect"}


def test_wrong_items_do_not_make_their_list_empty() -> None:
    assert set(faults(mapping(groups=[{"name": "a"}], expect=["p"]))) == {"groups[0].users", "expect[0]"}


def test_a_node_spends_what_its_tokens_and_tls_take() -> None:
    costs = {"verify": "50us", "verify_es256": "140us", "frame": "9us", "tls_frame": "4us"}
    plain = m.Scenario.of(mapping(costs=costs))
    assert plain.spent == plain.costs
    public = m.Scenario.of(mapping(costs=costs, tls=True, handler={"algorithms": ["ES256"]}))
    assert (public.spent.verify.mean, public.spent.frame.mean) == pytest.approx((140e-6, 13e-6))


def test_overrides_make_the_scenario_of_the_wall_clock() -> None:
    words = mapping(
        warmup="10s",
        groups=[group(body_bytes={"uniform": {"low": 1, "high": 2}}, messages={"arrivals": "poisson", "rate": "1/s"})],
        live={"time_scale": 0.5, "costs": 0, "handler": {"retries": 1}, "groups": [{"name": "a", "users": 2}]},
    )
    made = m.Scenario.of(words, path=Path("x.yaml"))
    live = made.with_live_overrides()
    assert (made.time_scale, made.groups[0].users, made.handler.retries) == (1.0, 3, 3)
    assert (live.time_scale, live.groups[0].users, live.handler.retries, live.costs) == (0.5, 2, 1, free())
    assert live.groups[0].body_bytes == made.groups[0].body_bytes
    assert live.path == Path("x.yaml")
    assert made.with_seed(9).with_live_overrides().seed == 9
    assert m.Scenario.of(mapping()).with_live_overrides() == m.Scenario.of(mapping())


def test_scaling_plays_everything_faster_but_the_network() -> None:
    words = parse_yaml(EXAMPLE).value
    words["groups"][0]["heartbeat"] = "20s"
    words["events"].append({"at": "3min", "do": "flood", "rate": "2/s", "for": "10s"})
    words["events"].append({"at": "3min", "do": "slow_reader", "bandwidth": "9kbit/s", "for": "10s"})
    made = m.Scenario.of(words)
    fast = made.with_live_overrides().scaled()
    people, before = fast.groups[0], made.groups[0]
    assert (fast.duration_s, fast.warmup_s, fast.played_scale, made.played_scale) == (30.0, 3.0, 0.1, 1.0)
    assert fast.handler == made.handler.scaled(0.1)
    assert (people.arrive_over_s, people.token_ttl_s, people.heartbeat_s) == pytest.approx((2.0, 360.0, 2.0))
    assert isinstance(people.messages, m.Poisson)
    assert people.messages.rate_per_s == pytest.approx(20 / 60)
    assert (people.network, people.body_bytes, fast.costs, fast.log) == (
        before.network,
        before.body_bytes,
        made.costs,
        made.log,
    )
    drop, flood, slow = (event.model_dump() for event in fast.events)
    assert (drop["at_s"], flood["at_s"], flood["for_s"], flood["rate_per_s"]) == pytest.approx((12.0, 18.0, 1.0, 20.0))
    assert slow["bandwidth_bits_per_s"] == 9000.0
    assert [expectation.limit for expectation in fast.expect] == [0.1, 0.0, 0.5]
    with pytest.raises(AssertionError):
        fast.scaled(0.1)
    assert fast.scaled(1.0) is fast


def test_lines_are_those_of_the_nearest_thing() -> None:
    made = m.Scenario.of(mapping(), lines={(): 1, ("expect",): 5, ("expect", 0): 6})
    assert (made.line_of(("expect", 0)), made.line_of(("expect", 9)), made.line_of(("x",))) == (6, 5, 1)
    assert made.expect[0].line == 6
    assert m.Scenario.of(mapping()).line_of(("x",)) == 0


def test_what_is_expected_live_stands_where_it_is_overridden() -> None:
    lines = {(): 1, ("expect",): 5, ("expect", 0): 6, ("live", "expect", 0): 9}
    made = m.Scenario.of(mapping(live={"expect": ["sent >= 1"]}), lines=lines)
    assert (made.expect[0].line, made.with_live_overrides().expect[0].line) == (6, 9)
    plain = m.Scenario.of(mapping(live={"time_scale": 0.5}), lines=lines)
    assert plain.with_live_overrides().expect[0].line == 6


KEYS = st.sampled_from(
    [
        "name",
        "duration",
        "warmup",
        "groups",
        "users",
        "session_size",
        "messages",
        "arrivals",
        "rate",
        "profile",
        "closed",
        "think",
        "network",
        "latency",
        "loss",
        "events",
        "at",
        "do",
        "drop",
        "arrive",
        "share",
        "count",
        "group",
        "expect",
        "live",
        "time_scale",
        "handler",
        "costs",
        "log",
        "constant",
        "mixture",
        "weight",
        "shift",
    ]
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    KEYS,
    st.sampled_from(["1s", "5/min", "10%", "lost == 0", "a"]),
)
WORDS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=20
)


@settings(deadline=None)
@given(st.dictionaries(KEYS, WORDS, max_size=6))
def test_any_mapping_is_made_or_refused(changes: dict[str, Any]) -> None:
    for words in (changes, mapping(**changes)):
        found: tuple[Fault, ...] | None = None
        try:
            m.Scenario.of(words)
        except FaultsError as error:
            found = error.found
        assert found is None or found[0][1]
