"""Every figure is read from what was counted anyway, has a bounded set of labels, and is named as Prometheus wants."""

from __future__ import annotations

from typing import Any

import pytest

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Close
from chatsim.core.frames import AckIn
from chatsim.core.histogram import Histogram
from chatsim.sim.run import simulate
from chatsim.telemetry.figures import CLOSE_CODES, LAG_EDGES_S, SHED_TYPES, Family, Shell, families
from tests.core.world import World
from tests.sim.worlds import scenario


def shell(**words: Any) -> Shell:
    return Shell(loop_lag=Histogram(LAG_EDGES_S), **words)


def read(world: World, **words: Any) -> dict[str, Any]:
    return {family.name: family.samples for family in families(world.handler, shell(**words))}


def counted(samples: Any) -> dict[str, float]:
    """The labels that something was counted for."""
    return {name: count for name, count in samples.items() if count}


def test_names_end_as_prometheus_wants() -> None:
    for family in families(World().handler, shell()):
        assert family.name.startswith("chatsim_")
        assert family.name.endswith("_total") == (family.kind == "counter")
        assert family.name.endswith("_seconds") == (family.kind == "histogram")
        assert family.about.endswith(".")


@pytest.mark.parametrize("name", ["chatsim_ack_seconds", "chatsim_delivery_seconds", "chatsim_loop_lag_seconds"])
def test_the_limit_of_100_ms_is_an_edge(name: str) -> None:
    assert 0.1 in read(World())[name].edges_s


def test_a_conversation_is_counted() -> None:
    world = World()
    world.arrive("ann", "bob", "bob2")
    world.say("ann", "1")
    world.say("ann", "1")
    world.receive("bob", AckIn(session="s", up_to=1))
    found = read(world)
    assert (found["chatsim_connections"], found["chatsim_users"], found["chatsim_connections_total"]) == (3, 2, 3)
    assert found["chatsim_messages_accepted_total"] == found["chatsim_messages_delivered_total"] == 1
    assert found["chatsim_duplicates_suppressed_total"] == 1
    assert found["chatsim_messages_waiting"] == 0


def test_how_many_connections_are_open_is_the_shells_to_say() -> None:
    world = World()
    world.arrive("ann", "bob")
    assert read(world, open=1)["chatsim_sockets"] == 1
    assert read(world)["chatsim_sockets"] is None


def test_a_message_that_nobody_acks_is_retried_and_given_up() -> None:
    world = World()
    world.arrive("ann", "bob")
    world.say("ann", "1")
    world.pass_s(125.0)
    found = read(world)
    assert found["chatsim_retries_total"] == 3
    assert counted(found["chatsim_messages_undelivered_total"]) == {"no_ack": 1}


def test_a_resume_is_counted_with_what_it_replays() -> None:
    world = World()
    world.arrive("ann", "bob")
    world.do("disconnect", "bob")
    world.say("ann", "1")
    world.say("ann", "2")
    world.connect("bob2")
    world.join("bob2", last_seq=0, epoch=1)
    world.join("bob2", last_seq=0, epoch=9)
    found = read(world)
    assert counted(found["chatsim_resumes_total"]) == {"recovered": 1, "unrecovered": 1}
    assert found["chatsim_messages_replayed_total"] == 2


def test_every_close_is_counted_once_by_its_code() -> None:
    world = World()
    world.arrive("ann", "bob", "cid")
    world.dead.add("ann")
    world.do("malformed", "bob", "binary", "text only")
    world.pass_s(60.0)
    closes = [effect.code for _, effect in world.done if isinstance(effect, Close)]
    assert sorted(closes) == [1003, 4001]
    found = read(world, departed={1000: 2, 1006: 1, 3333: 4, 4001: 1})["chatsim_disconnects_total"]
    assert counted(found) == {"1000": 2, "1003": 1, "1006": 1, "4001": 2, "other": 4}
    assert len(found) == len(CLOSE_CODES) + 1


def test_refused_tokens_are_counted_at_the_door_and_at_a_refresh() -> None:
    world = World()
    world.connect("ann")
    world.do("refuse_refresh", "ann", "token_expired")
    found = read(world, refused={"token_missing": 2, "overloaded": 5})
    assert counted(found["chatsim_handshakes_refused_total"]) == {"token_missing": 2, "overloaded": 5}
    assert counted(found["chatsim_auth_failures_total"]) == {"token_missing": 2, "token_expired": 1}


def test_refused_requests_are_failures_and_no_handshakes() -> None:
    found = read(World(), refused={"token_missing": 2}, refused_requests={"token_missing": 1, "token_invalid": 3})
    assert counted(found["chatsim_handshakes_refused_total"]) == {"token_missing": 2}
    assert counted(found["chatsim_auth_failures_total"]) == {"token_missing": 3, "token_invalid": 3}


def test_what_slow_readers_are_spared_is_counted_by_type() -> None:
    world = World(HandlerConfig(outbound_frames=10))
    world.arrive("ann", "bob", "cid")
    assert tuple(read(world)["chatsim_frames_dropped_total"]) == SHED_TYPES
    for conn in ("bob", "cid"):
        world.do("pressure", conn, 0, 6)
    world.typing("ann")
    assert counted(read(world)["chatsim_frames_dropped_total"]) == {"typing": 2}


def test_what_a_wire_does_not_know_has_no_sample() -> None:
    assert read(World())["chatsim_outbound_queue_frames"] is None
    assert read(World(), queued_frames=0)["chatsim_outbound_queue_frames"] == 0


def test_a_simulated_run_tells_the_same_figures() -> None:
    outcome = simulate(scenario({"at": "30s", "do": "drop", "count": 2}))
    found = {family.name: family for family in outcome.families}
    assert [family.name for family in families(World().handler, shell())] == list(found)
    counters = outcome.record.counters
    assert found["chatsim_messages_accepted_total"].samples == len(outcome.record.accepted)
    assert found["chatsim_pings_total"].samples == counters["pings"]
    assert _labelled(found["chatsim_disconnects_total"])["1006"] == 2
    assert _labelled(found["chatsim_resumes_total"])["recovered"] == counters["recovered"] > 0
    lag, delivery = found["chatsim_loop_lag_seconds"].samples, found["chatsim_delivery_seconds"].samples
    assert isinstance(lag, Histogram)
    assert isinstance(delivery, Histogram)
    assert sum(lag.counts) == len(outcome.record.loop_lag_s)
    outcomes = [outcome for owed in outcome.record.owed.values() for outcome in owed.values()]
    assert sum(delivery.counts) == outcomes.count("delivered")


def test_a_simulated_door_counts_whom_it_refuses() -> None:
    outcome = simulate(scenario(group={"credentials": "missing"}, duration="10s", expect=["auth_refused > 0"]))
    refused = next(family for family in outcome.families if family.name == "chatsim_auth_failures_total")
    assert counted(refused.samples) == {"token_missing": outcome.record.counters["auth_refused"]}


def _labelled(family: Family) -> dict[str, float]:
    assert isinstance(family.samples, dict)
    return family.samples
