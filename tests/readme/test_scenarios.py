"""What `scenarios/README.md` lists is what there is: every shipped scenario, every word, every default."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from chatsim.core.config import HandlerConfig
from chatsim.scenario.distributions import Distribution
from chatsim.scenario.events import EVENTS
from chatsim.scenario.expectations import AGGREGATES, COUNTERS, METRICS
from chatsim.scenario.handler import handler_config, words
from chatsim.scenario.load import load, shipped
from chatsim.scenario.schema import schema
from tests.readme.showing import README, commands, played, scenario

FOLDER = Path(__file__).parents[2] / "scenarios"
TEXT = (FOLDER / "README.md").read_text(encoding="utf-8")
COMMANDS = commands(TEXT)


def rows(text: str) -> list[list[str]]:
    """The cells of each row of the tables in it, headings left out."""
    found = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in cells] for cells in found]


def named(text: str, column: int = 0) -> set[str]:
    """The words in that column of the tables, without what stands in brackets after them."""
    return {word for cells in rows(text) for word in re.findall(r"`([\w.]+)[^`]*`", cells[column])}


def part(heading: str) -> str:
    return TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_every_shipped_scenario_has_a_line() -> None:
    linked = dict(re.findall(r"^\| \[([\w-]+)\]\(([\w.-]+)\) \| \S", TEXT, re.MULTILINE))
    files = {path.stem: path.name for path in FOLDER.glob("*.yaml")}
    folders = {path.parent.name: path.parent.name for path in FOLDER.rglob("*/*.yaml")}
    assert linked == files | folders
    assert shipped().samefile(FOLDER)


def test_every_word_of_a_file_is_there() -> None:
    document = schema()
    top, group, *_ = part("Writing one").split("\n| of a group")
    assert named(top.partition("| at the top")[2]) >= document["properties"].keys()
    assert named(group) == document["$defs"]["Group"]["properties"].keys()


def test_every_event_and_what_it_takes_is_there() -> None:
    told = {
        name: {word.strip().rstrip("?") for word in inside.split(",") if word}
        for name, inside in re.findall(r"`(\w+)(?: \{([^}]*)\})?`", "\n".join(c[0] for c in rows(part("What happens"))))
        if name != "do"
    }
    shared = {"do", "at", "share", "count"}
    definitions = schema()["$defs"]
    by_name = {definitions[name]["properties"]["do"]["const"]: definitions[name] for name in map(of, EVENTS)}
    assert told == {
        name: set(known["properties"]) - shared - ({"group"} if name != "arrive" else set())
        for name, known in by_name.items()
    }


def of(event: str) -> str:
    return "".join(word.capitalize() for word in event.split("_"))


def test_every_metric_aggregate_and_counter_is_there() -> None:
    promised = part("What is promised")
    metrics, _, counters = promised.partition("| counter |")
    assert named(metrics.partition("| metric |")[2]) == METRICS.keys()
    assert named(counters) == set(COUNTERS)
    assert all(f"`{aggregate}`" in metrics for aggregate in AGGREGATES)


def test_every_distribution_is_there() -> None:
    kinds = {str(kind.__struct_config__.tag) for kind in Distribution.__subclasses__()}
    assert all(re.search(rf"`{kind}\b", part("Writing one")) for kind in kinds)


def test_every_setting_has_its_default() -> None:
    table = [cells for cells in rows(part("The handler's settings")) if cells[0].startswith("`")]
    told = {word: cells[1].strip("`") for cells in table for word in re.findall(r"`(\w+)`", cells[0])}
    assert told.keys() == words().keys()
    read = YAML(typ="safe", pure=True)
    for word, default in told.items():
        if default != "none":
            assert handler_config({word: read.load(default)}) == HandlerConfig(), word
    assert {word for word, default in told.items() if default == "none"} == {"audience", "issuer", "origins"}


@pytest.mark.parametrize("words", [words for words in COMMANDS if "live" not in words], ids=" ".join)
def test_each_command_works(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(scenario(README.read_text(encoding="utf-8")), encoding="utf-8")
    assert played(words, tmp_path)


def test_what_plays_on_real_sockets_is_what_the_readme_plays_there() -> None:
    """Where it is played too (`test_readme`)."""
    (words,) = [words for words in COMMANDS if "live" in words]
    there = commands(README.read_text(encoding="utf-8"))
    assert ["after-lunch.yaml" if word == "mine.yaml" else word for word in words] in there


def test_the_first_paragraph_names_what_there_is() -> None:
    head = TEXT.partition("\n| scenario")[0]
    (name,) = re.findall(r"`chatsim run (\w+)`", head)
    assert load(FOLDER / f"{name}.yaml").name == name
    assert (FOLDER / "schema.json").is_file()
