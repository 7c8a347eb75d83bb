"""Kept runs to report on, and what a page holds."""

from __future__ import annotations

import json
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from chatsim.analysis.kept import KeptResult, read_result
from chatsim.runner.run import run
from chatsim.scenario.model import Scenario

HOSTILE = '<script>alert("x")</script>\n\u202e=cmd()$x' + "y" * 400
VOID = {"meta", "path", "use", "image", "br"}


def scenario(**words: Any) -> Scenario:
    """People who lose their connection and are refused, a promise that breaks and one without a sample."""
    group = {
        "name": "people",
        "users": 6,
        "session_size": 3,
        "messages": {"arrivals": "poisson", "rate": "60/min"},
        "network": {"latency": {"constant": "5ms"}},
    }
    head: dict[str, Any] = {
        "name": "small",
        "description": "Does a small room keep its promises?",
        "requirements": ["5.1"],
        "duration": "40s",
        "warmup": "5s",
        "handler": {"rate_limit": "30/min"},
        "groups": [group],
        "events": [{"at": "10s", "do": "drop", "count": 4}, {"at": "20s", "do": "vanish", "count": 1, "for": "5s"}],
        "expect": ["lost == 0", "p99(delivery_latency) <= 1ms", "max(drain_time) <= 1s"],
        "live": {"time_scale": 0.1},
    }
    return Scenario.of(head | words)


class Kept:
    """Folders of runs that stay as long as this object."""

    def __init__(self) -> None:
        self._place = TemporaryDirectory(prefix="chatsim-report-")
        self.root = Path(self._place.name)

    def play(self, played: Scenario, on: str = "sim") -> Path:
        """The folder of a run."""
        found = run(played, on=on, out=self.root).path
        assert found is not None
        return found


@lru_cache(maxsize=1)
def runs() -> tuple[Kept, Path, Path]:
    """The scenario, played on sim and on virtual."""
    kept = Kept()
    return kept, kept.play(scenario()), kept.play(scenario(), "virtual")


def result(on: str = "sim") -> KeptResult:
    """The kept run on that wire."""
    _, sim, virtual = runs()
    return read_result(sim if on == "sim" else virtual)


def hostile(to: Path) -> KeptResult:
    """The same run, with names that want to be more than names."""
    _, sim, _ = runs()
    to.mkdir()
    for path in sim.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    document = json.loads((to / "run.json").read_text(encoding="utf-8"))
    document["scenario"] = HOSTILE
    document["why_invalid"] = f"{to} {HOSTILE}"
    document["valid"] = False
    document["verdict"] = "invalid"
    document["events"][0]["do"] = HOSTILE
    document["events"][0]["whom"] = ["=HYPERLINK(1)"]
    document["expectations"][0]["text"] = "@SUM(1)" + HOSTILE
    (to / "run.json").write_text(json.dumps(document), encoding="utf-8")
    words = json.loads((to / "scenario.json").read_text(encoding="utf-8"))
    words |= {"description": HOSTILE, "requirements": [HOSTILE], "costs": f"{to}/costs.yaml"}
    words["groups"][0]["name"] = HOSTILE
    (to / "scenario.json").write_text(json.dumps(words), encoding="utf-8")
    quoted = '"' + HOSTILE.replace('"', '""') + '"'
    table = (to / "messages.csv").read_text(encoding="utf-8").splitlines()
    half = len(table) // 2
    renamed = [line.replace(",people,", f",{quoted},") for line in table[1:half]]
    (to / "messages.csv").write_text("\n".join([table[0], *renamed, *table[half:]]) + "\n", encoding="utf-8")
    return read_result(to)


class Page(HTMLParser):
    """What a page holds: its tags, all of them closed, its attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
