"""What loads are made of: the sums of what the simulation charges."""

from __future__ import annotations

from math import exp, inf

import msgspec
import pytest

from chatsim.analysis.makeup import ASIDE, BY_NAME, makeup, slept_s
from chatsim.live.calibration.seen import Seen
from chatsim.scenario.costs import FINER, OF_COMMITS, WORDS


def seen(ops: int = 10, heard: int = 10, wakes: int = 10, wall_s: float = 1.0, frames: int = 0) -> Seen:
    return Seen(ops=ops, frames=frames or ops, heard=heard, wall_s=wall_s, cpu_s=0.1, loop_s=0.1, wakes=wakes)


@pytest.mark.parametrize("name", BY_NAME)
def test_every_load_is_made_of_costs_that_there_are(name: str) -> None:
    made = makeup(BY_NAME[name], seen(frames=10 * max(1, BY_NAME[name].frames)))
    if made is None:
        assert name == "silence" or name.startswith("kept")
        return
    assert set(made) <= {*WORDS, *FINER, *OF_COMMITS, *ASIDE, "verify_es256"}
    assert all(times >= 0 for times in made.values())


def test_a_wake_up_is_as_cold_as_the_loop_has_slept_long() -> None:
    made = makeup(BY_NAME["typing"], seen(ops=10, wakes=10, wall_s=1.1), cold_after_s=0.1)
    assert made is not None
    assert made["cold"] == pytest.approx(made["wake"] * (1 - exp(-1.0)))
    never = makeup(BY_NAME["door good plain"], seen(wakes=0), cold_after_s=0.1)
    assert never is not None
    assert never["cold"] == never["wake"] == 2
    assert "cold" not in (makeup(BY_NAME["typing"], seen()) or {})


def test_while_the_last_answers_are_waited_for_a_loop_sleeps_and_is_no_colder_for_it() -> None:
    # Ten operations in 1 s that wake it once each, and 2 s more in which it wakes up as a silent one does.
    rested = msgspec.structs.replace(seen(ops=10, wakes=10 + 60, wall_s=3.0), paced_s=1.0)
    assert slept_s(rested, 30.0) == pytest.approx(0.09)
    made = makeup(BY_NAME["typing"], rested, idle_wakes=20.0, cold_after_s=0.1)
    assert made is not None
    assert made["cold"] == pytest.approx(made["wake"] * (1 - exp(-0.9 / 30 / 0.1)))
    assert slept_s(seen(wakes=0)) == inf


def test_a_commit_that_comes_alone_is_no_sum_and_one_in_talk_is() -> None:
    assert makeup(BY_NAME["kept"], seen(ops=10, wakes=20)) is None
    made = makeup(BY_NAME["chat slow durable"], seen(frames=20, heard=65))
    assert made is not None
    assert (made["commit_heard"], made["wake"]) == (1, 1)


def test_one_who_speaks_alone_is_told_at_once() -> None:
    assert makeup(BY_NAME["said"], seen()) == {
        "wake": 1, "frame": 1, "append": 1, "flush": 0, "write": 1, "recipient": 1,
    }  # fmt: skip


def test_what_many_are_told_each_for_herself_waits_for_no_turn_to_end() -> None:
    assert makeup(BY_NAME["again clump"], seen(heard=320)) == {
        "wake": 1, "frame": 32, "flush": 0, "write": 32, "recipient": 32,
    }  # fmt: skip


def test_one_hears_of_a_presence_at_once_and_more_at_the_end_of_the_turn() -> None:
    for listeners, flushes in ((0, 0), (1, 0), (4, 1)):
        made = makeup(BY_NAME[f"presence 1x{listeners} plain"], seen())
        assert made is not None
        assert made["flush"] == flushes, listeners
        assert made["write"] == made["recipient"] == listeners


def test_of_many_notices_some_are_written_at_once_and_the_others_together() -> None:
    """In each of 20 stretches of 50 ms there are 32 that are written at once, and one write for the other 8."""
    assert makeup(BY_NAME["acked clump"], seen(ops=25, heard=800)) == pytest.approx({
        "wake": 0.4, "frame_ack": 32, "settled": 32, "flush": 0.8, "write": 33 * 20 / 25, "recipient": 32,
    })  # fmt: skip


def test_few_notices_are_written_at_once_however_short_the_load() -> None:
    made = makeup(BY_NAME["acked 16"], seen(heard=10, wall_s=0.01))
    assert made is not None
    assert (made["flush"], made["write"]) == (0, 1)


def test_a_message_is_owed_to_each_who_hears_it_and_one_ack_settles_many() -> None:
    assert makeup(BY_NAME["told 4"], seen(heard=50)) == {
        "wake": 1, "frame": 1, "append": 1, "owed": 4, "flush": 1, "write": 5, "recipient": 5,
    }  # fmt: skip
    assert makeup(BY_NAME["acked 16"], seen(heard=10)) == {
        "wake": 1, "frame_ack": 1, "settled": 16, "flush": 0, "write": 1, "recipient": 1,
    }  # fmt: skip


def test_a_message_that_is_acked_at_once_is_all_that_chat_is_made_of() -> None:
    assert makeup(BY_NAME["talked 1 plain"], seen(frames=20, heard=30)) == {
        "wake": 1, "frame": 1, "append": 1, "owed": 1, "frame_ack": 1, "settled": 1, "flush": 0, "write": 3,
        "recipient": 3,
    }  # fmt: skip
    # Of eight acks two came together, and of the seven notices one told of two messages.
    assert makeup(BY_NAME["talked 8 plain"], seen(frames=80, heard=160)) == {
        "wake": 1, "frame": 1, "append": 1, "owed": 8, "frame_ack": 7, "settled": 8, "flush": 1, "write": 16,
        "recipient": 16,
    }  # fmt: skip
    over_tls = makeup(BY_NAME["chat 4 tls"], seen(frames=15, heard=55))
    assert over_tls is not None
    assert (over_tls["tls_frame"], over_tls["tls_write"]) == (1.5, 5.5)
    many = msgspec.structs.replace(BY_NAME["talked 8 plain"], listeners=120, heard=241, heard_least=121.0)
    made = makeup(many, seen(frames=10 * 121, heard=10 * 241))
    assert made is not None
    # In each of 20 stretches of 50 ms 32 notices are written at once, and one write has the others.
    assert (made["flush"], made["write"]) == pytest.approx((1 + 2, 121 + 33 * 2))


def test_wake_ups_of_a_silent_server_are_none_of_the_load() -> None:
    made = makeup(BY_NAME["typing"], seen(heard=0, wakes=210, wall_s=1.0), idle_wakes=200.0)
    assert made is not None
    assert made["wake"] == pytest.approx(1.0)


def test_a_pong_wakes_at_the_pings_expense() -> None:
    assert makeup(BY_NAME["pings"], seen(wakes=20)) == {"ping": 1, "wake": 1}
