"""A report stands alone, says the same every time, and no name in it is more than a name."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from urllib.parse import unquote

import msgspec
import pytest

from chatsim.analysis.kept import KeptResult
from chatsim.analysis.report.build import again, coded, page, printable, title_of, without_paths
from chatsim.scenario.model import Scenario
from tests.analysis.report import kept
from tests.analysis.report.kept import Page


@pytest.fixture(scope="module")
def text() -> str:
    return page([kept.result()])


def test_the_verdict_comes_first_and_all_else_after_it(text: str) -> None:
    found = Page(text).text
    order = [
        "FAIL",
        "1 of 3 promises hold",
        "The question",
        "Does a small room keep its promises?",
        "What it means",
        "p99(delivery_latency) <= 1ms fails: it is",
        "What was done to it",
        "Pictures",
        "How long deliveries took",
        "Numbers",
        "What it rests on",
        "Not modelled",
        "To see it again",
        "chatsim run small.json --seed 1",
    ]
    places = [found.index(words) for words in order]
    assert places == sorted(places)


def test_nothing_passes_in_a_run_that_proves_nothing(tmp_path: Path) -> None:
    found = Page(page([kept.hostile(tmp_path / "run")]))
    assert "No promise was judged." in found.text
    classes = {word for _, name, value in found.attributes if name == "class" for word in value.split()}
    assert "invalid" in classes
    assert not {"pass", "fail"} & classes


def test_its_pictures_are_those_that_make_sense(text: str) -> None:
    found = Page(text)
    assert found.tags.count("svg") == found.tags.count("figure") == 5
    assert "Who came back, and when" in found.text
    assert "The rate limit, as one sender met it" in found.text
    assert "limit 30 per 60 s" in found.text
    assert "Messages that were sent again" not in found.text


def test_it_needs_nothing_else(text: str) -> None:
    found = Page(text)
    assert not {"script", "link", "iframe", "object", "img"} & set(found.tags)
    for _, name, value in found.attributes:
        assert not name.startswith("on")
        if name in ("href", "src", "xlink:href", "action"):
            assert value.startswith(("data:", "#")), value
    assert not re.search(r"url\((?!#)", text)
    assert "@import" not in text
    assert "default-src 'none'" in text
    assert "@media print" in text


def test_nothing_of_the_machine_is_in_it(text: str) -> None:
    folder = kept.result().path
    assert folder is not None
    for word in (f"{folder}", f"{Path.cwd()}", f"{Path.home()}/", socket.gethostname()):
        assert word not in text
    assert not re.search(r"\b20\d\d-\d\d-\d\dT?", text)


def test_the_same_runs_give_the_same_bytes(text: str) -> None:
    assert page([kept.result()]) == text


def test_ids_are_told_apart_between_pictures(text: str) -> None:
    ids = [value for _, name, value in Page(text).attributes if name == "id"]
    assert len(ids) == len(set(ids))
    referred = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", text))
    assert referred <= set(ids)


def test_the_scenario_in_it_can_be_played_again(text: str) -> None:
    source = re.search(r"<details>.*?<pre>(.*?)</pre>", text, re.DOTALL)
    assert source is not None
    words = json.loads(Page(f"<pre>{source[1]}</pre>").text)
    assert Scenario.of(words).words == kept.scenario().words


def test_data_stand_behind_the_tables(text: str) -> None:
    links = {
        value.partition(",")[0]: unquote(value)
        for tag, name, value in Page(text).attributes
        if (tag, name) == ("a", "href")
    }
    assert set(links) == {"data:text/csv;charset=utf-8"}
    everything = [unquote(value) for tag, name, value in Page(text).attributes if (tag, name) == ("a", "href")]
    assert len(everything) == 5
    assert any("at_s,connections,waiting" in data for data in everything)
    assert any("delivery_latency,p99," in data for data in everything)


def test_runs_of_one_scenario_stand_beside_each_other() -> None:
    both = [kept.result(), kept.result("virtual")]
    found = Page(page(both))
    assert "small: 2 runs beside each other" in found.text
    assert found.text.index("2 runs beside each other") < found.text.index("The question")
    assert "sim, seed 1 (n =" in found.text
    assert "virtual, seed 1 (n =" in found.text
    assert "0.8 to 1.25 times sim, seed 1" in found.text
    assert "chatsim run small.json --on virtual --seed 1" in found.text
    assert [line for line in found.text.splitlines() if line == "chatsim: small"]


def test_no_name_is_more_than_a_name(tmp_path: Path) -> None:
    result = kept.hostile(tmp_path / "run")
    text = page([result, result])
    found = Page(text)
    assert not {"script", "b>", "img"} & set(found.tags)
    assert not {name for _, name, _ in found.attributes if name.startswith("on")}
    assert "\u202e" not in text
    assert "<script>alert(" in found.text
    assert f"{tmp_path}" not in text
    assert "costs.yaml" in found.text
    for _, name, value in found.attributes:
        if name == "href" and value.startswith("data:"):
            for line in unquote(value).splitlines():
                assert not re.search(r'(^|,)"?[=@]', line.partition("charset=utf-8,")[2] or line)
    # It stands in the legend of a picture, too.
    assert re.search(r"<text[^>]*>&lt;script&gt;alert", text)


def test_a_run_without_its_scenario_is_reported_all_the_same() -> None:
    bare = msgspec.structs.replace(kept.result(), words={})
    found = Page(page([bare])).text
    assert "The scenario does not say what it asks." in found
    assert "chatsim run small.yaml --seed 1" in found
    assert "The rate limit" not in found


def test_titles_commands_and_texts() -> None:
    one = kept.result()
    many: list[KeptResult] = [msgspec.structs.replace(one, scenario=f"s{n}") for n in range(5)]
    assert title_of(many) == "chatsim: s0, s1, s2 and 2 more"
    assert again(msgspec.structs.replace(one, scenario="a; rm -rf b", wire="$(x)")) == (
        "chatsim run a-rm--rf-b.json --on '$(x)' --seed 1"
    )
    assert printable("a\nb\u202ec\x00 ü م") == "a b\ufffdc\ufffd ü م"
    assert coded("say `chatsim <x>` & go") == "say <code>chatsim &lt;x&gt;</code> &amp; go"
    assert without_paths({"a": ["/etc/costs.yaml", "C:\\x\\y.csv", "60/min", 3]}) == {
        "a": ["costs.yaml", "y.csv", "60/min", 3]
    }
