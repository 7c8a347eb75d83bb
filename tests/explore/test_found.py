"""Invariant: what exploring has found names the scenario that is kept of it, or says why there is none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chatsim.scenario.load import load

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "scenarios" / "regressions"

FOUND = re.compile(r"\bfound by exploring\b(?: \(([^)]*)\))?", re.IGNORECASE)
"""A test that was written for something that exploring had found, and what it says of that in parentheses."""

SAID = re.compile(r"(?:seeds? \d+(?:(?:,| and) \d+)*(?: on \w+)?: )?(?:(?P<file>[\w-]+\.yaml)|no scenario, \w.+)")
"""The seed, where it is known, and the file of the scenario, or the reason why none is kept: a rule of exploring was at
fault, or what it drew, and the package was right."""

BREAK = re.compile(r"\s*\n\s*(?:# )?")


def said(text: str) -> list[str]:
    """What is said in each place of a test file, on one line, "" where nothing is."""
    return FOUND.findall(BREAK.sub(" ", text))


SOURCES = {
    f"{path.relative_to(ROOT)}": found
    for path in sorted((ROOT / "tests").rglob("*.py"))
    if path != Path(__file__) and (found := said(path.read_text(encoding="utf-8")))
}


@pytest.mark.parametrize("source", SOURCES)
def test_what_was_found_names_its_scenario(source: str) -> None:
    for how in SOURCES[source]:
        match = SAID.fullmatch(how)
        assert match, f"{source}: found by exploring ({how}) names no file, and says not why there is none"
        if match["file"] is not None:
            assert "regression" in load(KEPT / match["file"]).tags, how


def test_they_are_found_wherever_they_are_said() -> None:
    assert len(SOURCES) > 10
    text = '"""Found by exploring (seed 7:\n    a-b.yaml): so."""\n# found by\n# exploring: so\n# Found by exploring.\n'
    assert said(text) == ["seed 7: a-b.yaml", "", ""]


@pytest.mark.parametrize(
    ("how", "enough"),
    [
        ("seed 7: a-b.yaml", True),
        ("seed 7 on agreement: a-b.yaml", True),
        ("seeds 7, 8 and 9: a-b.yaml", True),
        ("a-b.yaml", True),
        ("seed 7: no scenario, the rule was at fault", True),
        ("", False),
        ("seed 7", False),
        ("seed 7: a-b", False),
        ("seed 7: no scenario", False),
        ("seed 7: no scenario, ", False),
    ],
)
def test_a_seed_alone_is_not_enough(how: str, enough: bool) -> None:
    assert bool(SAID.fullmatch(how)) == enough
