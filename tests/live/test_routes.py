"""The table of routes: no route twice, and every name is that of a function which answers."""

from __future__ import annotations

import pytest

from chatsim.live.http import Routes
from chatsim.live.routes import OPERATIONS, Operation
from chatsim.live.sessions import SessionRoutes


def test_no_route_stands_twice() -> None:
    assert len({(operation.method, operation.path) for operation in OPERATIONS}) == len(OPERATIONS)
    assert len({operation.name for operation in OPERATIONS}) == len(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_route_is_answered_by_one_function(operation: Operation) -> None:
    assert [hasattr(owner, operation.name) for owner in (Routes, SessionRoutes)].count(True) == 1
    assert (operation.body is not None) == (operation.method == "POST")
    assert (operation.answer is None) == (operation.status == 204)
