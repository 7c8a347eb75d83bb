"""The shipped scenarios: all of them are right, say what they show, and are described by the schema beside them."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from chatsim.cli.running import LIVE_DEMO
from chatsim.scenario.load import load, load_all, shipped
from chatsim.scenario.schema import schema

FOLDER = Path(__file__).parents[2] / "scenarios"
FILES = sorted(FOLDER.rglob("*.yaml"))
LIVE_S_MAX = 20.0
"""Longest playing time on the wall clock, so that all of them together stay a coffee break."""

FOUND_S_MAX = 2 * LIVE_S_MAX
"""The same of what exploring found: its moments are those at which it happens, and several are played at a time."""

NAMED = {"3.1", "3.2", "5.1", "5.2", "5.3", "8.1"}


def test_they_are_the_ones_that_are_shipped() -> None:
    assert shipped().resolve() == FOLDER
    scenarios, problems = load_all(FILES)
    assert problems == []
    assert len(scenarios) >= 12
    assert LIVE_DEMO in {scenario.name for scenario in scenarios}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_says_what_it_shows(path: Path) -> None:
    scenario = load(path)
    assert scenario.name == path.stem
    assert len(scenario.description) > 40
    # What exploring finds may be that the two wires differ where no requirement decides.
    assert scenario.requirements or "regression" in scenario.tags
    assert len(scenario.expect) >= 3


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_is_short_on_the_wall_clock(path: Path) -> None:
    live = load(path).with_live_overrides()
    most_s = FOUND_S_MAX if "regression" in live.tags else LIVE_S_MAX
    assert live.scaled(live.time_scale).duration_s <= most_s


def test_every_numbered_requirement_has_its_scenario() -> None:
    assert {name for path in FILES for name in load(path).requirements} >= NAMED


def test_the_schema_beside_them_is_current() -> None:
    assert json.loads((FOLDER / "schema.json").read_text(encoding="utf-8")) == schema(), (
        "write it anew: chatsim schema > scenarios/schema.json"
    )


def test_the_scenario_in_the_readme_is_right(tmp_path: Path) -> None:
    text = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    written = tmp_path / "readme.yaml"
    written.write_text(text.partition("```yaml\n")[2].partition("```")[0], encoding="utf-8")
    assert load(written).name == "after-lunch"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_schema_accepts_each(path: Path) -> None:
    document: dict[str, Any] = YAML(typ="safe", pure=True).load(path)
    validator().validate(document)


@lru_cache(maxsize=1)
def validator() -> Any:
    """What validates documents; that the schema is one itself is checked once for all of them."""
    kind = jsonschema.validators.validator_for(schema())
    kind.check_schema(schema())
    return kind(schema())
