"""The load in arrays: the plan's, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest

from chatsim.flow import load
from chatsim.people.plan import Plan
from chatsim.people.streams import Streams
from tests.flow.worlds import scenario

SCENARIO = scenario(
    {"users": 33},
    {"messages": {"arrivals": "periodic", "rate": "20/min"}, "session_size": 2},
    {"messages": {"arrivals": "profile", "profile": [["0s", "2/min"], ["20s", "30/min"]]}},
    {"body_bytes": {"uniform": {"low": 100, "high": 900}}},
    events=[{"at": "20s", "do": "arrive", "users": 7, "group": "g1"}],
)


@pytest.mark.parametrize("slice_", [load.SLICE, 9])
def test_the_same_people_and_moments_as_the_plan(monkeypatch: pytest.MonkeyPatch, slice_: int) -> None:
    monkeypatch.setattr(load, "SLICE", slice_)
    plan, found = Plan(SCENARIO, Streams(SCENARIO.seed)), load.lay_out(SCENARIO)
    assert found.at_s.tobytes() == plan.at_s.tobytes()
    assert found.user.tolist() == plan.user.tolist()
    assert found.connect_at.tolist() == [user.connect_at for user in plan.users]
    assert found.body_bytes_max == plan.body_bytes.max()
    names = list(dict.fromkeys(user.session for user in plan.users))
    assert found.session.tolist() == [names.index(user.session) for user in plan.users]
    assert [SCENARIO.groups[group].name for group in found.group] == [user.group for user in plan.users]
    for name, first, size in zip(names, found.first, found.size, strict=True):
        assert {user.session for user in plan.users[first : first + size]} == {name}
    assert np.bincount(found.session).tolist() == found.size.tolist()
