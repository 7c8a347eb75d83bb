"""Sessions of pytest within a test, with the plugin and without whatever of it is installed.

What the plugin imports late is imported here at once: pytester forgets modules that are new after a session, and NumPy
cannot be loaded twice.
"""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

import chatsim.analysis.results
import chatsim.live.hosted
import chatsim.live.run
import chatsim.pytest_plugin.collecting
import chatsim.runner.desk
import chatsim.runner.replicate
import chatsim.runner.run
import chatsim.sim.run
import chatsim.testing.clocked
import chatsim.virtual.run  # noqa: F401 - see above

PLUGIN = ("-p", "no:chatsim", "-p", "chatsim.pytest_plugin", "-p", "no:cacheprovider")

WORDS = """\
name: NAME
duration: 20s
tags: [latency, half-open]
groups:
  - name: people
    users: 4
    session_size: 2
    messages: {arrivals: poisson, rate: 30/min}
    network: {latency: {exponential: {mean: 20ms}}}
live: {time_scale: 0.1}
expect:
"""

GOOD = ("p99(delivery_latency) <= 2s", "sent >= 1", "lost == 0")
LINE = len(WORDS.splitlines()) + 1
"""Where the first expectation of such a file stands."""


def write(folder: Path, name: str, *expect: str, words: str = WORDS, more: str = "") -> Path:
    """A scenario file with these expectations; `more` are further words."""
    path = folder / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    promises = "".join(f"  - {text}\n" for text in expect or GOOD)
    path.write_text(words.replace("NAME", path.stem) + promises + more, encoding="utf-8")
    return path


def session(pytester: pytest.Pytester, *words: str) -> pytest.RunResult:
    """A session in this process."""
    return pytester.runpytest_inprocess(*PLUGIN, *words)


def outside(pytester: pytest.Pytester, *words: str) -> pytest.RunResult:
    """A session in a process of its own."""
    return pytester.runpytest_subprocess(*PLUGIN, *words)


def properties(junit: Path) -> dict[str, dict[str, str]]:
    """The properties of each test case of a JUnit file that pytest wrote, by its name."""
    cases = ElementTree.parse(junit).iter("testcase")
    return {case.attrib["name"]: {p.attrib["name"]: p.attrib["value"] for p in case.iter("property")} for case in cases}


def remembered(folder: Path) -> list[str]:
    """The ids that failed last, as pytest's cache knows them."""
    return sorted(json.loads((folder / ".pytest_cache" / "v" / "cache" / "lastfailed").read_text(encoding="utf-8")))
