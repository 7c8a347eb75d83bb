"""Notices in company: few go at once, and of many none waits longer than it may."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from chatsim.core.effects import Send
from chatsim.core.frames import Heartbeat
from chatsim.core.notices import EAGER_MAX, LINGER_S
from chatsim.sim.company import Company


def send(number: int, *to: str) -> Send:
    return Send(to, Heartbeat(float(number), {}))


def test_so_many_in_each_stretch_of_time_want_no_company() -> None:
    company = Company()
    assert [company.wanted(1.0) for _ in range(EAGER_MAX + 2)] == [False] * EAGER_MAX + [True] * 2
    assert company.wanted(1.0 + LINGER_S / 2)
    assert not company.wanted(1.0 + LINGER_S)


names = st.sampled_from("abc")
does = st.one_of(
    st.tuples(st.just("keep"), st.lists(names, min_size=1, max_size=3, unique=True)),
    st.tuples(st.just("write"), st.lists(names, min_size=1, max_size=3, unique=True)),
)


@given(st.lists(st.tuples(st.floats(0.0, LINGER_S), does), max_size=30))
def test_each_leaves_once_in_order_and_none_waits_longer_than_it_may(
    steps: list[tuple[float, tuple[str, list[str]]]],
) -> None:
    company, now, kept, left = Company(), 0.0, list[tuple[str, int]](), list[tuple[str, int]]()
    since: dict[tuple[str, int], float] = {}

    def leave(names: list[str], at: float) -> None:
        for said in company.joins(names):
            (name,) = said.to
            assert isinstance(said.message, Heartbeat)
            place = (name, int(said.message.server_time))
            assert at <= since[place] + LINGER_S + 1e-9
            left.append(place)

    for number, (gap_s, (what, who)) in enumerate(steps):
        while company.ends_at() <= now + gap_s:
            at = company.ends_at()
            leave(company.due(at), at)
        now += gap_s
        if what == "keep":
            company.keep(now, send(number, *who))
            kept += [(name, number) for name in who]
            since |= {(name, number): now for name in who}
        else:
            leave(who, now)
    assert any(name in company for name in "abc") == (company.ends_at() < inf)
    while (at := company.ends_at()) < inf:
        leave(company.due(at), at)
    assert sorted(left) == sorted(kept)
    for name in "abc":
        assert [place for place in left if place[0] == name] == [place for place in kept if place[0] == name]


def test_what_is_cleared_waits_no_more() -> None:
    company = Company()
    company.keep(1.0, send(1, "a"))
    company.clear()
    assert "a" not in company
    assert company.ends_at() == inf
    assert company.joins(["a"]) == []
