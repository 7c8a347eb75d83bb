"""What others import: both pictures of steps that came from anywhere."""

from __future__ import annotations

from chatsim import timeline
from tests.timeline.talk import unheard


def test_both_pictures_come_from_steps_alone() -> None:
    steps = unheard().steps
    assert timeline.chart(iter(steps), users=["bob"]).startswith("<?xml")
    assert timeline.perfetto(iter(steps), users=["bob"]).startswith(b"{")
