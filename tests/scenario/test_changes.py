"""A path leads to one place of a scenario, or to an error that names the nearest one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chatsim.errors import UsageError
from chatsim.scenario.changes import set_options
from chatsim.scenario.faults import FaultsError
from chatsim.scenario.load import discover, load
from chatsim.scenario.model import Scenario
from chatsim.scenario.yaml import parse_yaml, plain

ONE: dict[str, Any] = {
    "name": "one",
    "duration": "1min",
    "groups": [{"name": "mobile", "users": 5, "network": {"latency": {"constant": "5ms"}}}],
    "events": [{"at": "10s", "do": "drop", "count": 1}],
    "expect": ["lost == 0", "p99(delivery_latency) <= 100ms"],
    "live": {"time_scale": 0.5, "groups": [{"name": "mobile", "users": 2}]},
}
TWO = ONE | {"groups": [*ONE["groups"], {"name": "web", "users": 7}]}


def test_each_place_can_be_changed() -> None:
    made = Scenario.of(ONE).with_(
        {
            "groups.mobile.users": 500,
            "groups.0.network.latency": {"exponential": {"mean": "10ms"}},
            "handler.rate_limit": "30/min",
            "events.0.at": "20s",
            "expect.1": "p99(delivery_latency) <= 50ms",
            "log.latency": {"constant": "1ms"},
        },
        duration="5min",
        seed=9,
    )
    assert made.group("mobile").users == 500
    assert made.group("mobile").network.latency.mean == pytest.approx(0.01)
    assert made.handler.rate_limit == 30
    assert made.events[0].at_s == 20.0
    assert made.expect[1].limit == 0.05
    assert (made.log.latency.mean, made.duration_s, made.seed) == (0.001, 300.0, 9)


def test_the_scenario_itself_stays_as_it_is() -> None:
    source = dict(ONE)
    played = Scenario.of(source)
    played.with_(users=500)
    assert source == ONE
    assert played.group("mobile").users == 5
    assert played.with_(users=500).with_(duration="2min").group("mobile").users == 500


def test_no_change_is_the_same_scenario() -> None:
    for path in discover([]):
        played = load(path)
        assert played.with_() == played
        assert played.with_seed(77).with_() == played.with_seed(77)
        assert played.with_().with_live_overrides() == played.with_live_overrides()


def test_what_live_overrides_still_does() -> None:
    live = Scenario.of(ONE).with_(users=500).with_live_overrides()
    assert (live.group("mobile").users, live.time_scale) == (2, 0.5)
    changed = Scenario.of(ONE).with_live_overrides().with_(users=3)
    assert (changed.group("mobile").users, changed.time_scale) == (3, 0.5)


def test_a_word_of_groups_is_meant_for_the_only_one() -> None:
    assert Scenario.of(ONE).with_(typing=True).group("mobile").typing
    with pytest.raises(UsageError, match=r"there are mobile, web: say groups\.mobile\.users"):
        Scenario.of(TWO).with_(users=3)


def test_a_place_is_the_same_whatever_the_path_to_it_is_called() -> None:
    one = Scenario.of(ONE)
    assert one.place_of("users") == one.place_of("groups.mobile.users") == one.place_of("groups.0.users")
    assert one.place_of("users") == ("groups", 0, "users")
    assert one.place_of("handler.rate_limit") == ("handler", "rate_limit")


@pytest.mark.parametrize("seed", ["x", 1.5, True, -1, 2**63])
def test_what_is_no_seed_is_refused(seed: Any) -> None:
    with pytest.raises(UsageError, match="a seed is a whole number"):
        Scenario.of(TWO).with_seed(seed)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("groups.mobil.users", r"there is no mobil among them \(did you mean mobile\?\)"),
        ("groups.mobile.user", r"did you mean users\?"),
        ("handler.rate_limits", r"did you mean rate_limit\?"),
        ("durations", r"a scenario has no durations \(did you mean duration\?\)"),
        ("events.3.at", r"there is no 3 among them"),
        ("duration.seconds", r"duration is '1min', and has no words of its own"),
        ("", "a scenario has no"),
    ],
)
def test_a_path_that_leads_nowhere_names_the_nearest(path: str, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        Scenario.of(ONE).with_({path: 5})


@pytest.mark.parametrize("changes", [[("users", 3)], "users", 5])
def test_what_maps_nothing_is_refused(changes: Any) -> None:
    with pytest.raises(UsageError, match=r"does not map paths to values: write \{"):
        Scenario.of(ONE).with_(changes)


def test_no_file_to_save_in_is_refused() -> None:
    nothing: Any = None
    with pytest.raises(UsageError, match="None is no file: name one"):
        Scenario.of(ONE).save(nothing)


def test_a_value_that_cannot_be_is_refused_as_in_a_file() -> None:
    with pytest.raises(FaultsError, match="users"):
        Scenario.of(ONE).with_(users=-1)
    with pytest.raises(FaultsError, match="duration"):
        Scenario.of(ONE).with_(duration="5 parsecs")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (500, "500"),
        (0.5, "0.5"),
        (True, "true"),
        (None, "null"),
        ("30/min", "30/min"),
        ("5", '"5"'),
        ("true", '"true"'),
        ("", '""'),
        (" a", '" a"'),
        ("a: b", '"a: b"'),
        ("a\nb", '"a\\nb"'),
        ({"exponential": {"mean": "10ms"}}, '{"exponential": {"mean": "10ms"}}'),
        ([["0s", 0], ["7s", "1/s"]], '[["0s", 0], ["7s", "1/s"]]'),
        ((1, np.int64(2)), "[1, 2]"),
        (1e-09, "1e-09"),
        ("a  b", '"a \\u0020b"'),
        (["a\x7f\x85\u2028\xa0", "\N{GRINNING FACE}"], '["a\\u007f\\u0085\\u2028\\u00a0", "\N{GRINNING FACE}"]'),
        ("\U000e0001", '"\\U000e0001"'),
    ],
)
def test_a_value_is_said_so_that_it_reads_as_itself(value: object, said: str) -> None:
    assert set_options({"handler.x": value}) == ["--set", f"handler.x={said}"]
    assert parse_yaml(said).value == plain(value)


def test_changes_are_known_in_the_order_in_which_they_were_made() -> None:
    made = Scenario.of(ONE)
    assert made.changes == {}
    made = made.with_({"groups.mobile.users": 5, "handler.rate_limit": "30/min"}).with_seed(4)
    made = made.with_(duration="2min", seed=9).with_({"groups.mobile.users": 7})
    assert made.changes is not None
    assert list(made.changes.items()) == [
        ("handler.rate_limit", "30/min"),
        ("duration", "2min"),
        ("groups.mobile.users", 7),
    ]
    assert Scenario.of(ONE).with_(made.changes).with_seed(9).words == made.words
    assert Scenario.of(ONE).with_live_overrides().with_(users=3).changes is None


def test_a_change_that_a_later_one_replaced_is_said_no_more() -> None:
    made = Scenario.of(ONE).with_(events=[{"at": "1s", "do": "drop"}] * 2).with_({"events.1.at": "3s", "users": 4})
    made = made.with_({"events": [{"at": "4s", "do": "drop"}], "groups.mobile.users": 5})
    assert made.changes == {"events": [{"at": "4s", "do": "drop"}], "groups.mobile.users": 5}
    assert Scenario.of(ONE).with_(made.changes).words == made.words


def test_a_group_is_said_by_its_place_where_it_had_another_name() -> None:
    made = Scenario.of(TWO).with_({"groups.web.name": "desks"}).with_({"groups.desks.users": 9, "groups.1.name": "x"})
    assert made.changes == {"groups.1.users": 9, "groups.1.name": "x"}
    made = Scenario.of(TWO).with_({"groups.web.name": "desks"}).with_({"groups.desks.users": 9})
    assert made.changes == {"groups.web.name": "desks", "groups.desks.users": 9}


def test_changes_stay_what_they_were_when_they_were_made() -> None:
    network: dict[str, Any] = {"latency": {"constant": "1ms"}}
    made = Scenario.of(ONE).with_({"groups.mobile.network": network})
    network["latency"]["constant"] = "9s"
    assert made.changes == {"groups.mobile.network": {"latency": {"constant": "1ms"}}}


def called(*names: str) -> dict[str, Any]:
    """A scenario of groups of these names, the first of 5 users, the second of 6."""
    return ONE | {
        "groups": [{"name": name, "users": 5 + at} for at, name in enumerate(names)],
        "live": {},
        "events": [],
    }


def users(played: Scenario) -> dict[str, int]:
    return {group.name: group.users for group in played.groups}


def test_a_name_goes_before_a_place() -> None:
    played = Scenario.of(called("1", "0"))
    made = played.with_({"groups.1.users": 9})
    assert users(made) == {"1": 9, "0": 6}
    assert played.place_of("groups.0.users") == ("groups", 1, "users")
    assert users(Scenario.of(called("a", "0")).with_({"groups.1.users": 9})) == {"a": 5, "0": 9}


def test_a_name_may_have_dots_and_the_longest_is_meant() -> None:
    played = Scenario.of(called("a.b", "a"))
    made = played.with_({"groups.a.b.users": 9, "groups.a.users": 7, "groups.a.b.network.latency": {"constant": "1ms"}})
    assert users(made) == {"a.b": 9, "a": 7}
    assert made.group("a.b").network.latency.mean == 0.001
    assert Scenario.of(called("a.b")).with_(users=9).group("a.b").users == 9
    with pytest.raises(UsageError, match=r"there is no a among them \(known: a\.b, web\)"):
        Scenario.of(called("a.b", "web")).with_({"groups.a.c.users": 9})


@pytest.mark.parametrize("names", [("a.b", "a"), ("1", "0"), ("0.users", "x"), ("5.5", "5")])
def test_changes_of_any_names_are_read_back_as_the_same(names: tuple[str, str]) -> None:
    first, second = names
    played = Scenario.of(called(*names))
    renamed = played.with_({f"groups.{second}.name": "other"}).with_({"groups.other.users": 9})
    both = renamed.with_({f"groups.{first}.users": 8, "groups.other.name": "more"})
    for made in (played.with_({f"groups.{first}.users": 8}), renamed, both):
        assert made.changes is not None
        assert Scenario.of(called(*names)).with_(made.changes).words == made.words


def test_nothing_is_said_where_another_name_is_in_the_way_of_every_path() -> None:
    for third, changes in (("z", {"groups.0.users": 9, "groups.a.users.name": "y"}), ("0.users", None)):
        made = Scenario.of(called("a", "a.users", third)).with_({"groups.a.users.name": "x"})
        made = made.with_({"groups.a.users": 9}).with_({"groups.x.name": "y"})
        assert users(made) == {"a": 9, "y": 6, third: 7}
        # At first `groups.a.users` is the group of that name, and so may be `groups.0.users`.
        assert made.changes == (changes and {"groups.0.users": 9, "groups.1.name": "y"})
