"""Invariant: what any handler did reads back as it was written; a damaged journal is refused in one way only."""

from __future__ import annotations

from pathlib import Path

import msgspec
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from chatsim.core.config import HandlerConfig
from chatsim.errors import HarnessError
from chatsim.journal.steps import Header, JournalWriter, Step, decode_step, encode_step, read, read_header
from tests.core.stories import EPOCH, LIVES, STORIES, Draw, Life, fresh, play
from tests.journal.test_steps import STEPS
from tests.thorough import examples

HEADER = Header(config=HandlerConfig(), epoch=EPOCH, seed=5)
WORDS = st.sampled_from([b"[", b"]", b'"', b"\n", b"[[[[", b"null", b"1e999", b"\xff", b'"status"', b"{}", b""])
DAMAGE = st.tuples(st.integers(0, 9000), st.integers(0, 40), WORDS | st.binary(max_size=4))


@examples(30)
@given(LIVES, STORIES)
def test_every_step_of_a_story_reads_back_as_it_was_written(life: Life, story: list[Draw]) -> None:
    for step in play(fresh(life), story):
        assert decode_step(encode_step(*step)) == Step(*step)


@examples(200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(DAMAGE, min_size=1, max_size=3))
def test_a_damaged_journal_is_read_or_refused(tmp_path: Path, damages: list[tuple[int, int, bytes]]) -> None:
    path = tmp_path / "journal.jsonl"
    path.unlink(missing_ok=True)
    writer = JournalWriter(path, HEADER)
    for place, (door, args, effects) in enumerate(STEPS):
        writer.step(float(place), door, args, effects)
    writer.close()
    data = path.read_bytes()
    for place, size, instead in damages:
        at = place % (len(data) + 1)
        data = data[:at] + instead + data[at + size :]
    path.write_bytes(data)
    try:
        read_header(path)
        steps = list(read(path))
    except HarnessError:
        return
    # What is read can be written, and is then the same.
    for step in steps:
        assert decode_step(encode_step(*msgspec.structs.astuple(step))) == step
