"""The names of the ways to play."""

from __future__ import annotations

import pytest

from chatsim.errors import UsageError
from chatsim.verdict.wires import FLOW, again_words, played_as


def test_a_fidelity_has_a_name_among_the_wires() -> None:
    assert played_as("sim", "flow") == FLOW
    assert played_as("virtual", "full") == "virtual"


@pytest.mark.parametrize(("on", "fidelity"), [("live", "flow"), ("virtual", "flow"), ("sim", "half")])
def test_what_there_is_not_is_refused(on: str, fidelity: str) -> None:
    with pytest.raises(UsageError, match=fidelity):
        played_as(on, fidelity)


def test_a_name_gives_back_the_words() -> None:
    assert again_words("sim") == []
    assert again_words("live") == ["--on", "live"]
    assert again_words(FLOW) == ["--fidelity", "flow"]
