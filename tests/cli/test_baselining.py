"""`baseline save` and `baseline compare`: what is compared, what is refused, and with which code it ends."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from xml.etree import ElementTree

import pytest

from chatsim.cli.baselining import Done, _again
from chatsim.cli.main import main
from chatsim.cli.version import __version__
from chatsim.findings.finding import Play
from chatsim.runner.baseline import measure
from chatsim.runner.run import RunResult, play
from chatsim.scenario.conditions import parse_condition
from chatsim.scenario.load import load
from chatsim.scenario.model import Scenario
from chatsim.store.baseline import Baseline, Entry, Repetition, write

Capture = pytest.CaptureFixture[str]

WORDS = """
name: small
duration: 10s
groups:
  - name: people
    users: 4
    session_size: 2
    messages: {arrivals: periodic, rate: 30/min}
    network: {latency: {constant: 5ms}}
expect: [p95(delivery_latency) <= 100ms, lost == 0]
live: {time_scale: 0.1}
"""
PLACE = Path("results/baselines/baseline.json")


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "small.yaml"
    path.write_text(WORDS, encoding="utf-8")
    return path


def baseline(*words: str) -> int:
    return main(["baseline", *words])


def planted(**numbers: float | str) -> None:
    """As if the saved run had come to these, in the words of the file."""
    document = json.loads(PLACE.read_text(encoding="utf-8"))
    document["entries"][0]["repetitions"][0]["numbers"].update(numbers)
    PLACE.write_text(json.dumps(document), encoding="utf-8")


def repeated(n: int, **numbers: float) -> None:
    """As if what was saved had been saved of so many repetitions on live."""
    document = json.loads(PLACE.read_text(encoding="utf-8"))
    document["entries"][0]["repetitions"] *= n
    for repetition in document["entries"][0]["repetitions"]:
        repetition["numbers"].update(numbers)
    PLACE.write_text(json.dumps(document), encoding="utf-8")


@pytest.mark.parametrize("wires", ["sim", "virtual", "sim,virtual"])
def test_the_same_again_is_equal(wires: str, capsys: Capture) -> None:
    assert baseline("save", "small.yaml", "--on", wires, "--name", "main") == 0
    assert capsys.readouterr().out.endswith(f"as main in {PLACE}\n")
    assert baseline("compare", "small.yaml", "--on", wires) == 0
    out = capsys.readouterr().out
    assert out.count("equal") == len(wires.split(","))
    assert "compared with main of chatsim" in out


def test_a_file_names_no_machine_and_no_path(tmp_path: Path) -> None:
    baseline("save", "small.yaml")
    text = PLACE.read_text(encoding="utf-8")
    assert f"{tmp_path}" not in text
    document = json.loads(text)
    assert (document["format"], document["version"], document["machine"]) == ("chatsim-baseline", 1, {})
    assert {"scenario", "seed", "scenario_hash", "costs_hash"} <= set(document["entries"][0])
    # The same again is the same file.
    baseline("save", "small.yaml")
    assert PLACE.read_text(encoding="utf-8") == text


def test_the_first_differences_are_named(capsys: Capture) -> None:
    baseline("save", "small.yaml")
    planted(lost=1, delivery_latency_p95_s=0.005)
    assert baseline("compare", "small.yaml", "--junit", "out.xml", "--json-file", "out.json") == 1
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["small", "sim", "lost", "1", "0", "differs"] in rows
    assert ["small", "sim", "delivery_latency_p95_s", "5", "ms"] in [row[:5] for row in rows]
    (failure,) = ElementTree.parse("out.xml").iter("failure")
    assert "lost: saved 1, observed 0" in f"{failure.text}"
    assert f"{failure.text}".endswith("; again: chatsim baseline compare small.yaml --seed 1")
    assert json.loads(Path("out.json").read_text(encoding="utf-8"))["counts"]["fail"] == 1


@pytest.mark.parametrize(("saved_s", "code"), [(0.0095, 0), (0.009, 1)])
def test_a_condition_decides_where_there_is_one(saved_s: float, code: int, capsys: Capture) -> None:
    baseline("save", "small.yaml")
    # It is 10 ms and a little on the event loop.
    planted(delivery_latency_p95_s=saved_s)
    capsys.readouterr()
    conditions = ["--fail-if", "p95(delivery_latency) > +10%", "--fail-if", "lost > +0"]
    assert baseline("compare", "small.yaml", *conditions, "--json") == code
    document = json.loads(capsys.readouterr().out)
    [run] = document["runs"]
    assert [each["verdict"] for each in run["compared"]] == [("pass", "fail")[code], "pass"]
    # And what differs is told all the same.
    assert [each["name"] for each in run["differences"]] == ["delivery_latency_p95_s"]


CHANGED = (
    # What the saved run is said to have come to, the conditions, the line where that is promised, and what is told.
    ({"lost": 1.0}, (), 10, "lost: saved 1, observed 0"),
    ({"sent": 1.0}, (), 9, "sent: saved 1, observed 20"),
    ({"delivery_latency_p95_s": 0.00512345678}, ("p95(delivery_latency) > +10%",), 11, "saved 5.12346 ms"),
    ({"sent": 1.0}, ("sent > +0",), 9, "saved 1"),
)
LINES = WORDS.replace(
    "expect: [p95(delivery_latency) <= 100ms, lost == 0]", "expect:\n  - lost == 0\n  - p95(delivery_latency) <= 100ms"
).lstrip("\n")


@pytest.mark.parametrize(("saved", "conditions", "line", "told"), CHANGED)
def test_a_difference_is_told_where_it_was_promised_and_its_command_finds_it_again(
    saved: dict[str, float],
    conditions: tuple[str, ...],
    line: int,
    told: str,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    file.write_text(LINES, encoding="utf-8")
    baseline("save", "small.yaml", "--on", "virtual")
    planted(**saved)
    against = PLACE.rename("my baseline.json")
    capsys.readouterr()
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    asked = [word for text in conditions for word in ("--fail-if", text)]
    assert baseline("compare", "small.yaml", "--on", "virtual", "--against", f"{against}", *asked) == 1
    # Once as it is said everywhere, and once for GitHub.
    said, annotation = capsys.readouterr().err.splitlines()[-2:]
    assert annotation.startswith(f"::error file=small.yaml,line={line},title=small (virtual)::")
    assert said.startswith(f"small.yaml:{line}: ")
    assert told in said
    assert not re.search(r"\d\.\d{6}", said), "what is told is rounded"
    program, *again = shlex.split(said.partition("; again: ")[2])
    assert program == "chatsim"
    assert main(again) == 1
    assert said in capsys.readouterr().err.splitlines()


def test_what_is_refused_leaves_no_old_report(capsys: Capture) -> None:
    baseline("save", "small.yaml")
    report = ["--junit", "out.xml"]
    refused = (
        ["--fail-if", "p95(delivery_latency) > 10%"],
        ["--on", "moon"],
        ["--repeat", "5"],
        ["--against", "none.json"],
    )
    for words in refused:
        assert baseline("compare", "small.yaml", *report) == 0
        capsys.readouterr()
        assert baseline("compare", "small.yaml", *report, *words) == 3
        (line,) = capsys.readouterr().err.splitlines()
        (error,) = ElementTree.parse("out.xml").iter("error")
        assert f"{error.text}" == line


def test_the_words_of_live_are_said_again(file: Path) -> None:
    words = tuple(_again(PLACE, [], 6, 3))
    play = Play(scenario=load(file), wire="live", command=("baseline", "compare"), options=words)
    assert play.again == f"chatsim baseline compare {file} --on live --repeat 6 --attempts 3 --seed 1"


def test_a_condition_on_a_group() -> None:
    baseline("save", "small.yaml")
    assert baseline("compare", "small.yaml", "--fail-if", "p95(delivery_latency, group=people) > +1%") == 0


def test_other_scenarios_of_the_file_are_kept_and_named(tmp_path: Path, capsys: Capture) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(WORDS.replace("small", "other"), encoding="utf-8")
    baseline("save", "small.yaml")
    baseline("save", "other.yaml")
    capsys.readouterr()
    assert baseline("compare", ".") == 0
    assert baseline("compare", "small.yaml") == 0
    assert "not compared, though baseline has it: other (sim)" in capsys.readouterr().err


def beside(folder: Path, name: str) -> Path:
    """Another scenario, in that folder."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(WORDS.replace("small", name), encoding="utf-8")
    return path


def test_a_scenario_that_has_gone_from_its_folder_is_refused_before_anything_is_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    other = beside(tmp_path / "mine", "other")
    beside(tmp_path / "mine", "third")
    baseline("save", ".", "--on", "sim,virtual")
    assert baseline("compare", ".") == 0
    other.unlink()
    said = (
        "other on sim was saved of mine/other.yaml, where it is no more: put it back, or save the folder anew (chatsim "
        "baseline save --on sim), which leaves it out"
    )
    for folder in (".", "mine", f"{tmp_path / 'mine'}"):
        capsys.readouterr()
        assert baseline("compare", folder, "--junit", "out.xml") == 3
        assert capsys.readouterr().err.splitlines() == [f"chatsim: {said}"]
        assert said in Path("out.xml").read_text(encoding="utf-8")
        assert "<failure" not in Path("out.xml").read_text(encoding="utf-8")
    # Wherever that is done.
    monkeypatch.chdir(tmp_path / "mine")
    assert baseline("compare", ".", "--against", f"../{PLACE}") == 3
    assert "other on sim was saved of other.yaml, where it is no more" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)
    # Who names files has chosen.
    assert baseline("compare", "small.yaml", "mine/third.yaml") == 0
    assert "not compared, though baseline has it: other (sim)" in capsys.readouterr().err
    # Saving a part, or elsewhere, forgets nothing; saving its folder does, on the wires that are saved.
    baseline("save", "small.yaml")
    assert baseline("compare", ".") == 3
    capsys.readouterr()
    baseline("save", "mine")
    assert "chatsim: no more in baseline, because it has gone: other (sim)" in capsys.readouterr().err
    assert baseline("compare", ".") == 0
    assert baseline("compare", ".", "--on", "virtual") == 3


def test_what_is_in_another_folder_has_not_gone_from_this_one(tmp_path: Path, capsys: Capture) -> None:
    for name in ("one", "two"):
        beside(tmp_path / name, name)
        assert baseline("save", name) == 0
    capsys.readouterr()
    assert baseline("compare", "two") == 0
    assert "skipped: one is not there: name it too, or begin a new baseline without it" in capsys.readouterr().err
    # It has another name now, which is said of the new one too.
    file = tmp_path / "two" / "two.yaml"
    file.write_text(WORDS.replace("small", "three"), encoding="utf-8")
    assert baseline("compare", "two") == 3
    first, second = capsys.readouterr().err.splitlines()
    assert "three on sim is not in the baseline" in first
    assert "two on sim was saved of two/two.yaml, where it is no more" in second


def nowhere() -> None:
    """As if the baseline did not know where its scenarios stood, as one of old or of elsewhere does not."""
    document = json.loads(PLACE.read_text(encoding="utf-8"))
    for entry in document["entries"]:
        del entry["file"]
    PLACE.write_text(json.dumps(document), encoding="utf-8")


def test_a_scenario_of_a_place_that_is_not_known_is_skipped_in_every_report_and_not_silently(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(WORDS.replace("small", "other"), encoding="utf-8")
    baseline("save", ".")
    other.unlink()
    nowhere()
    capsys.readouterr()
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", f"{tmp_path / 'summary.md'}")
    assert baseline("compare", ".", "--junit", "out.xml", "--json-file", "out.json", "--html", "out.html") == 0
    out, err = capsys.readouterr()
    assert [line.split(" ", 1)[0] for line in err.splitlines() if line.startswith("::")] == ["::warning"]
    assert (tmp_path / "summary.md").read_text(encoding="utf-8").startswith("### chatsim: pass\n")
    assert "<h1>pass</h1>" in (tmp_path / "out.html").read_text(encoding="utf-8")
    assert [line.split()[0] for line in out.splitlines() if "skipped" in line] == ["other"]
    assert "skipped: other is not there: name it too, or begin a new baseline without it" in err
    assert "not compared, though" not in err
    suites = ElementTree.parse(tmp_path / "out.xml").getroot()
    assert [case.attrib["name"] for case in suites.iter("testcase") if case.find("skipped") is not None] != []
    document = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert document["verdict"] == "pass"
    assert [(each["scenario"], each["verdict"]) for each in document["findings"]] == [
        ("small", "pass"),
        ("other", "skipped"),
    ]
    assert baseline("compare", ".", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"] == "pass"
    assert document["not_compared"] == [{"scenario": "other", "wire": "sim"}]


@pytest.mark.parametrize(("lost", "code", "verdict"), [(0.0, 0, "pass"), (1.0, 1, "fail")])
def test_what_has_gone_hides_no_difference_and_is_none(lost: float, code: int, verdict: str, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(WORDS.replace("small", "zoo"), encoding="utf-8")
    baseline("save", ".")
    other.unlink()
    nowhere()
    planted(lost=lost)
    assert baseline("compare", ".", "--json-file", "out.json") == code
    assert json.loads(Path("out.json").read_text(encoding="utf-8"))["verdict"] == verdict


@pytest.mark.parametrize(("condition", "code"), [("> +10%", 2), ("< -100%", 1)])
def test_a_baseline_that_saved_infinity_passes_nothing(condition: str, code: int, capsys: Capture) -> None:
    baseline("save", "small.yaml")
    planted(delivery_latency_p95_s="inf")
    capsys.readouterr()
    assert baseline("compare", "small.yaml", "--fail-if", f"p95(delivery_latency) {condition}") == code
    out, err = capsys.readouterr()
    assert "what never came to an end is no measure" in out
    assert "saved inf" in err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["compare", "small.yaml", "--fail-if", "p95(delivery_latncy) > +10%"], "did you mean delivery_latency?"),
        (["compare", "small.yaml", "--fail-if", "p95(delivery_latency) > 10%"], "with its sign"),
        (["compare", "small.yaml", "--fail-if", "p95(delivery_latency, group=x) > +1%"], "saved without"),
        (["compare", "small.yaml", "--on", "virtual"], "is not in the baseline"),
        (["compare", "small.yaml", "--seed", "7"], "seed changed"),
        (["compare", "small.yaml", "--against", "none.json"], "save a baseline first"),
        (["compare", "small.yaml", "--against", "small.yaml"], "is no baseline"),
        (["compare", "small.yaml", "--on", "moon"], "there is no such wire"),
        (["compare", "small.yaml", "--repeat", "5"], "--repeat is for live"),
        (["compare", "none.yaml"], "none.yaml"),
        (["save", "small.yaml", "--on", "live", "--repeat", "3"], "5 would do"),
        (["save", "small.yaml", "--out", "small.yaml/x.json"], "cannot write"),
        (["save", "small.yaml", "--out", "small.yaml"], "is no baseline"),
        (["save", "small.yaml", "copy.yaml"], "two scenarios are called small"),
        ([], "Missing command"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_played(
    words: list[str], why: str, tmp_path: Path, capsys: Capture
) -> None:
    baseline("save", "small.yaml")
    (tmp_path / "copy.yaml").write_text(WORDS, encoding="utf-8")
    capsys.readouterr()
    assert baseline(*words) == 3
    out, err = capsys.readouterr()
    assert why in out + err
    assert "played" not in err


def test_a_changed_scenario_is_refused_and_the_reports_say_so(file: Path, capsys: Capture) -> None:
    baseline("save", "small.yaml")
    file.write_text(WORDS.replace("5ms", "6ms").replace("duration: 10s", "duration: 9s"), encoding="utf-8")
    capsys.readouterr()
    assert baseline("compare", "small.yaml", "--junit", "out.xml") == 3
    assert "small on sim is not what was saved (duration, groups changed): save it" in capsys.readouterr().err
    assert "is not what was saved" in Path("out.xml").read_text(encoding="utf-8")
    assert list(ElementTree.parse("out.xml").iter("error"))


def test_a_run_that_proves_nothing_hides_nothing_of_the_others(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(WORDS.replace("small", name), encoding="utf-8")
    file.unlink()
    baseline("save", ".")
    capsys.readouterr()

    def played(scenario: Scenario, *, on: str) -> RunResult:
        made = play(scenario, on=on)
        if scenario.name == "a":
            made.valid, made.why_invalid = False, "the sums are wrong"
        return made

    monkeypatch.setattr("chatsim.runner.baseline.play", played)
    assert baseline("compare", ".", "--json-file", "out.json", "--json") == 4
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["verdict"] == "invalid"
    assert [(run["scenario"], run["verdict"]) for run in document["runs"]] == [("a", "invalid"), ("b", "pass")]
    assert err.count("a on sim (seed 1) is not valid: the sums are wrong") == 1
    assert json.loads(Path("out.json").read_text(encoding="utf-8"))["counts"] == {
        "fail": 0, "error": 2, "inconclusive": 0, "skipped": 0, "pass": 1
    }  # fmt: skip
    assert baseline("compare", ".") == 4
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [(row[0], row[-1]) for row in rows if row[:1] in (["a"], ["b"])] == [("a", "invalid"), ("b", "pass")]


def test_what_is_promised_may_change(file: Path) -> None:
    baseline("save", "small.yaml")
    file.write_text(WORDS.replace("<= 100ms", "<= 50ms"), encoding="utf-8")
    assert baseline("compare", "small.yaml") == 0


def test_other_versions_are_told(capsys: Capture) -> None:
    baseline("save", "small.yaml")
    text = PLACE.read_text(encoding="utf-8")
    PLACE.write_text(text.replace('"chatsim": "', '"chatsim": "0.0.'), encoding="utf-8")
    baseline("compare", "small.yaml")
    assert "was saved with chatsim 0.0." in capsys.readouterr().err


# On live, where nothing is equal.

LIVE = WORDS.replace("duration: 10s", "duration: 2s").replace("5ms", "1ms")


@pytest.fixture
def live(file: Path) -> None:
    """A baseline of one run, said to be of several."""
    file.write_text(LIVE, encoding="utf-8")
    entry = measure(load(file), "live", attempts=3)
    write(PLACE, Baseline(name="main", chatsim=__version__, versions={}, machine={}, entries=[entry]))


@pytest.mark.usefixtures("live")
def test_live_is_judged_over_repetitions_and_refused_where_they_are_too_few(capsys: Capture) -> None:
    one: list[str] = ["--fail-if", "p95(delivery_latency) > +10%"]
    refused: list[tuple[list[str], str]] = [
        (one, "the repetitions that were saved are 1: too few to tell anything of one comparison at 95 %; 5 would do"),
        ([*one, "--repeat", "2"], "but 1 repetitions were saved"),
        ([], "of 2 comparisons together at 95 %; 6 would do"),
    ]
    for words, why in refused:
        assert baseline("compare", "small.yaml", "--on", "live", *words) == 3
        out, err = capsys.readouterr()
        assert (out, why in err, "played" in err) == ("", True, False)
    # Far from what any machine could come to.
    repeated(5, delivery_latency_p95_s=1e-6)
    assert baseline("compare", "small.yaml", "--on", "live", *one, "--attempts", "3", "--csv", "out.csv") == 1
    out, err = capsys.readouterr()
    assert "played 5 times small (live)" in err
    assert out.splitlines()[1].split()[:4] == ["small", "live", "fail", "if"]
    assert ",fail," in Path("out.csv").read_text(encoding="utf-8")


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("conditions", [[], ["--fail-if", "lost > +0"]])
def test_a_number_that_was_not_saved_is_refused_before_anything_is_played(
    conditions: list[str], capsys: Capture
) -> None:
    repeated(6)
    document = json.loads(PLACE.read_text(encoding="utf-8"))
    # As of a release that did not count it; in one repetition is enough.
    document["entries"][0]["repetitions"][5]["numbers"] = {"delivery_latency_p95_s": 0.01}
    PLACE.write_text(json.dumps(document), encoding="utf-8")
    assert baseline("compare", "small.yaml", "--on", "live", *conditions) == 3
    out, err = capsys.readouterr()
    told = "small on live was saved without lost: save it (chatsim baseline save --on live) anew"
    assert (out, told in err, "played" in err) == ("", True, False)


@pytest.mark.parametrize("words", [["compare", "small.yaml"], ["save", "small.yaml"]])
def test_a_baseline_of_no_repetition_is_none(words: list[str], capsys: Capture) -> None:
    baseline("save", "small.yaml")
    repeated(0)
    capsys.readouterr()
    assert baseline(*words) == 3
    out, err = capsys.readouterr()
    assert (out, "is no baseline that can be read" in err, "save anew" in err) == ("", True, True)


def live_entry(n: int, **numbers: float) -> Entry:
    found = [Repetition(place, {"lost": 0.0, "sent": 20.0, **numbers}) for place in range(n)]
    return Entry(scenario="small", wire="live", seed=1, scenario_hash="", costs_hash="", words={}, repetitions=found)


@pytest.mark.parametrize(
    ("conditions", "now_s", "verdict"),
    [
        (["p95(delivery_latency) > +10%"], 0.06, "fail"),
        (["p95(delivery_latency) > +10%", "sent < -5%"], 0.05, "pass"),
        ([], 0.05, "pass"),
        ([], 0.08, "fail"),
        ([], 0.02, "pass"),
    ],
)
def test_on_live_conditions_decide_or_else_what_is_promised(
    conditions: list[str], now_s: float, verdict: str, file: Path
) -> None:
    saved, now = live_entry(6, delivery_latency_p95_s=0.05), live_entry(6, delivery_latency_p95_s=now_s)
    done = Done(load(file), "live", saved, now, [parse_condition(text) for text in conditions])
    assert done.verdict == verdict
    assert len(list(done.rows())) == len(conditions or ["p95(delivery_latency)", "lost"])
    assert done.document()["differences"] == []
