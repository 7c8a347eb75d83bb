"""What a flow leaves out is refused in a sentence, before anything runs."""

from __future__ import annotations

from typing import Any

import pytest

from chatsim.errors import UsageError
from chatsim.flow.load import lay_out
from chatsim.flow.refusals import check, check_load
from chatsim.scenario.load import find, load
from tests.flow.worlds import scenario


@pytest.mark.parametrize(
    ("group", "words", "said"),
    [
        ({}, {"events": [{"at": "9s", "do": "drop", "group": "g1", "count": 1}]}, "the event drop"),
        ({}, {"log": {"store": "sqlite"}}, "log.store sqlite"),
        ({}, {"log": {"latency": {"constant": "1ms"}}}, "log.latency"),
        ({}, {"ties": 1}, "ties"),
        ({"token_ttl": "90s"}, {}, "renewal of tokens"),
        ({"messages": {"arrivals": "closed", "think": {"constant": "1s"}}}, {}, "closed arrivals"),
        ({"connections_per_user": 2}, {}, "second devices"),
        ({"typing": True}, {}, "typing"),
        ({"presence": True}, {}, "presence"),
        ({"heartbeat": "20s"}, {}, "heartbeats"),
        ({"credentials": "forged"}, {}, "credentials"),
        ({"acks": False}, {}, "do not ack"),
        ({"ack_each": True}, {}, "acks of single messages"),
        ({"network": {"loss": "1%"}}, {}, "loss"),
        ({"network": {"bandwidth": "5Mbit/s"}}, {}, "bandwidth"),
        ({}, {"expect": ["lost == 0"]}, "cannot judge lost == 0"),
        ({}, {"expect": ["p95(reconnect_time) <= 5s"]}, "cannot judge p95"),
    ],
)
def test_what_has_no_model_is_refused(group: dict[str, Any], words: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        check(scenario(group, **words))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("group", "handler", "said"),
    [
        ({}, {"connections_max": 39}, "connections_max"),
        ({}, {"sessions_max": 7}, "sessions_max"),
        ({"session_size": 40}, {"participants_max": 20}, "participants_max"),
        ({"arrive_over": "0s"}, {"accept_rate": "20/s"}, "accept_rate"),
        ({"body_bytes": {"constant": 2000}}, {"message_bytes_max": "2KiB"}, "message_bytes_max"),
        ({"messages": {"arrivals": "poisson", "rate": "60/min"}}, {"rate_limit": "30/min"}, "rate_limit"),
        ({}, {"frame_limit": "300/min"}, "frame_limit"),
    ],
)
def test_limits_that_would_be_reached_are_refused(group: dict[str, Any], handler: dict[str, Any], said: str) -> None:
    made = scenario(group, handler=handler)
    check(made)
    with pytest.raises(UsageError, match=said):
        check_load(made, lay_out(made))


def test_all_is_said_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        check(scenario({"typing": True, "network": {"loss": "1%"}}, {"acks": False}, ties=3))
    assert len(str(caught.value).splitlines()) == 4


def test_what_is_modelled_passes() -> None:
    made = scenario(events=[{"at": "9s", "do": "arrive", "users": 3, "group": "g1"}])
    check(made)
    check_load(made, lay_out(made))


def test_the_million_may_flow() -> None:
    made = load(find("million-users"))
    check(made)
    few = made.with_({"groups.people.users": 1000})
    check_load(few, lay_out(few))
