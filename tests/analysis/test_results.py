"""A run shows what was judged, in tables that stand under each other and on a card that runs no script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pandas as pd
import pytest

from chatsim.analysis import frames
from chatsim.analysis.results import Run
from chatsim.errors import UsageError
from chatsim.runner.run import RunResult, run
from chatsim.verdict.again import WIDTH, Source
from chatsim.verdict.invariants.catalogue import Violation
from tests.sim.worlds import scenario

EXPECT = ["lost == 0", "p99(delivery_latency) <= 1ms", "max(reconnect_time) <= 10s"]


@pytest.fixture(scope="module")
def played() -> Iterator[RunResult]:
    """A run that breaks one of its promises, in a folder of its own."""
    with TemporaryDirectory() as folder:
        dropped = {"at": "30s", "do": "drop", "count": 1}
        yield run(scenario(dropped, expect=EXPECT, duration="1min"), out=Path(folder))


def test_tables_are_those_of_the_run(played: RunResult) -> None:
    shown = Run(played, None)
    assert len(shown.messages) == played.counters["accepted"]
    assert len(shown.connections) == 5
    assert shown.events.event.tolist() == ["drop"]
    assert shown.series.connections.max() == 4
    assert (shown.verdict, shown.ok) == ("fail", False)


def test_the_summary_is_one_row_with_the_same_columns_for_every_run(played: RunResult) -> None:
    row = Run(played, None).summary()
    quiet = msgspec.structs.replace(played, metrics={"drain_time": {"count": 0}}, counters=played.counters)
    both = pd.concat([row, Run(quiet, None).summary()], ignore_index=True)
    assert len(both) == 2
    assert row.delivery_latency_p99_s[0] == played.metrics["delivery_latency"]["p99"]
    assert row.sent[0] == played.counters["sent"]
    assert {"utilisation_max", "delivery_latency_count"} <= set(row)
    assert not {"utilisation_max_s", "delivery_latency_count_s"} & set(row)


def test_every_metric_has_every_aggregate_in_the_summary(played: RunResult) -> None:
    bare = msgspec.structs.replace(played, metrics={"drain_time": {"count": 0.0}})
    row = Run(bare, None).summary()
    assert row.drain_time_count[0] == 0
    assert pd.isna(row.drain_time_p99_s[0])


def test_csv_gives_back_the_tables(played: RunResult, tmp_path: Path) -> None:
    shown = Run(played, None)
    paths = shown.to_csv(tmp_path / "new")
    assert [path.name for path in paths] == [
        f"{name}.csv" for name in ("messages", "connections", "events", "attempts", "series", "summary")
    ]
    again = pd.read_csv(paths[0]).astype(frames.MESSAGES)
    pd.testing.assert_frame_equal(again, shown.messages)


def test_parquet_gives_back_the_tables_with_their_types(played: RunResult, tmp_path: Path) -> None:
    shown = Run(played, None)
    paths = shown.to_parquet(tmp_path)
    assert [path.name for path in paths][:2] == ["messages.parquet", "connections.parquet"]
    pd.testing.assert_frame_equal(pd.read_parquet(paths[0]), shown.messages)


def test_the_line_that_runs_it_again_says_file_changes_wire_and_seed(played: RunResult) -> None:
    assert Run(played, Source("s", "x.yaml")).again == "chatsim run x.yaml --seed 1"
    live = msgspec.structs.replace(played, wire="live", seed=9)
    changed = Source("s", "x.yaml", {"groups.g.users": 500})
    assert Run(live, changed).again == "chatsim run x.yaml --on live --set groups.g.users=500 --seed 9"
    assert Run(played, None).again == 'chatsim run s.yaml --seed 1  # after cs.load(scenario).save("s.yaml")'


def test_a_name_that_is_not_there_is_told_with_the_nearest(played: RunResult) -> None:
    shown: Any = Run(played, None)
    with pytest.raises(AttributeError, match=r"a run has no mesages \(did you mean messages\?\)"):
        _ = shown.mesages


def test_a_folder_that_cannot_be_is_refused(played: RunResult, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="name another folder"):
        Run(played, None).to_csv(tmp_path / "file")


def test_a_shell_shows_a_few_lines_of_eighty_columns(played: RunResult) -> None:
    long = msgspec.structs.replace(played, scenario="x" * 100)
    changed = Source("s", "s.yaml", {"description": "x" * 100})
    for shown in (Run(played, None), Run(long, None), Run(played, changed)):
        lines = repr(shown).splitlines()
        told = lines[: 1 + len(EXPECT)]
        assert max(map(len, lines)) <= WIDTH
        assert "".join(lines[len(told) :]).startswith("again: chatsim run ")
    assert repr(Run(played, changed)).endswith(
        'again: chatsim run scenario.yaml --seed 1 \\\n    # after cs.load(scenario).save("scenario.yaml")'
    )
    assert repr(Run(played, None)).startswith("FAIL  s on sim, seed 1\n")
    assert re.search(r"fail +10 ms  p99\(delivery_latency\) <= 1ms", repr(Run(played, None)))


class Tags(HTMLParser):
    """The tags of a page, each of which is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert attrs == []
        self.found.add(tag)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_card_is_plain_and_says_how_to_see_it_again(played: RunResult) -> None:
    card = Run(played, Source("s", "scenarios/s.yaml"))._repr_html_()
    assert Tags(card).found == {"div", "p", "b", "table", "thead", "tbody", "tr", "th", "td", "code"}
    assert "chatsim run scenarios/s.yaml --seed 1" in card
    assert "p99(delivery_latency) &lt;= 1ms" in card


def test_what_must_hold_and_does_not_is_shown(played: RunResult) -> None:
    broken = msgspec.structs.replace(played, verdict="fail", violations=[Violation("seq", 3.0, "<img> after 2.")])
    shown = Run(broken, None)
    assert not shown.ok
    assert "  fail          does not hold  invariant seq at 3 s: The messages of a " in repr(shown)
    assert not Tags(shown._repr_html_()).found & {"img"}
    assert "invariant seq at 3 s: " in shown._repr_html_()


def test_a_hostile_name_is_only_text(played: RunResult) -> None:
    hostile = msgspec.structs.replace(played, scenario="<script>alert(1)</script>", valid=False, why_invalid="<img>")
    card = Run(hostile, Source("s", "<b>&", {"a": "<img>"}))._repr_html_()
    assert not Tags(card).found & {"script", "img"}


def test_the_folder_of_a_run_that_is_not_to_be_kept_goes_with_it(played: RunResult, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    shown = Run(msgspec.structs.replace(played, path=tmp_path / "run"), None, kept=False)
    assert shown.path is None
    assert (tmp_path / "run").is_dir()
    del shown
    assert not (tmp_path / "run").exists()
    assert Run(played, None).path == played.path


def test_what_never_came_is_shown(played: RunResult) -> None:
    judged = msgspec.structs.replace(played.expectations[1], observed=inf)
    never = msgspec.structs.replace(played, expectations=[judged])
    assert " inf " in repr(Run(never, None))
