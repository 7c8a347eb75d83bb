"""The line that plays something again is one that a shell takes, and names what there is to be named."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatsim.cli import options
from chatsim.errors import UsageError
from chatsim.findings.finding import Play
from chatsim.scenario.load import load, shipped
from chatsim.scenario.model import Scenario
from chatsim.scenario.yaml import plain, yaml_text
from chatsim.verdict.again import Source, command, folded
from tests.scenario.examples import mapping
from tests.thorough import examples

FILE = Source("s", "s.yaml")


def line(*sources: Source, called: tuple[str, ...] = ("scenario",), verb: str = "run") -> str:
    return " ".join(command(verb, sources, seed=7, called=called))


def test_changes_are_said_as_a_shell_takes_them() -> None:
    changes = {"groups.people.users": 500, "handler.rate_limit": "30/min", "log.latency": {"constant": "1ms"}}
    told = line(Source("s", "s.yaml", changes))
    assert shlex.split(told) == [
        *("chatsim", "run", "s.yaml", "--set", "groups.people.users=500", "--set", "handler.rate_limit=30/min"),
        *("--set", 'log.latency={"constant": "1ms"}', "--seed", "7"),
    ]


def test_options_of_the_verb_stand_before_the_changes() -> None:
    told = " ".join(command("replicate", [Source("s", "s.yaml", {"users": 5})], "-n 20", "--on virtual", seed=1))
    assert told == "chatsim replicate s.yaml -n 20 --on virtual --set users=5 --seed 1"


def test_what_stands_in_no_file_is_to_be_saved_and_a_shell_takes_the_rest_for_a_comment() -> None:
    told = line(Source("s"))
    assert told == 'chatsim run s.yaml --seed 7  # after cs.load(scenario).save("s.yaml")'
    assert shlex.split(told, comments=True) == ["chatsim", "run", "s.yaml", "--seed", "7"]


def test_a_file_is_taken_for_no_option() -> None:
    assert line(Source("s", "-s.yaml")) == "chatsim run ./-s.yaml --seed 7"
    assert line(Source("-s")) == 'chatsim run ./-s.yaml --seed 7  # after cs.load(scenario).save("-s.yaml")'


def test_of_two_each_has_a_file_of_its_own() -> None:
    told = line(Source("s"), Source("s"), called=("a", "b"), verb="compare")
    saved = 'after cs.load(a).save("a.yaml") and after cs.load(b).save("b.yaml")'
    assert told == f"chatsim compare a.yaml b.yaml --seed 7  # {saved}"
    changed = Source("s", "s.yaml", {"users": 5})
    told = line(FILE, changed, called=("a", "b"), verb="compare")
    assert told == "chatsim compare s.yaml s.yaml --set users=5 --seed 7"
    assert changed.saved() == Source("s")
    assert FILE.saved() == FILE
    deep = Source("s", "a/folder/with/a/long/name/s.yaml")
    assert folded(command("compare", [deep, deep], seed=7, called=("a", "b"))) == [
        "chatsim compare a/folder/with/a/long/name/s.yaml \\",
        "    a/folder/with/a/long/name/s.yaml --seed 7",
    ]


def test_a_file_is_seen_from_here_and_no_folder_of_this_machine_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "project" / "notebooks"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    places = {
        "x.yaml": "x.yaml --seed 7",
        f"{here}/deep/x.yaml": "deep/x.yaml --seed 7",
        f"{here.parent}/scenarios/x.yaml": "../scenarios/x.yaml --seed 7",
        f"{tmp_path}/x.yaml": 'x.yaml --seed 7  # in the folder of "x.yaml"',
        f"{shipped()}/steady.yaml": "steady --seed 7",
    }
    for file, shown in places.items():
        assert line(Source("x", file)) == f"chatsim run {shown}"
    monkeypatch.chdir("/")
    assert line(Source("x", f"{here}/x.yaml")) == 'chatsim run x.yaml --seed 7  # in the folder of "x.yaml"'


def test_a_file_that_was_named_from_elsewhere_is_led_to_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to("sub/deep")
    monkeypatch.chdir(tmp_path)
    sources = [Source.at("t", Path(file)) for file in ("t.yaml", "sub/t.yaml", "./sub/../t.yaml", "link/../t.yaml")]
    assert [line(source).split()[2] for source in sources] == [source.file for source in sources]
    places = {
        "sub": ["../t.yaml", "t.yaml", "../t.yaml", "t.yaml"],
        "sub/deep": ["../../t.yaml", "../t.yaml", "../../t.yaml", "../t.yaml"],
        # The shell goes by where a link leads.
        "link": ["../../t.yaml", "../t.yaml", "../../t.yaml", "../t.yaml"],
        "/": [f"{tmp_path}/t.yaml", f"{tmp_path}/sub/t.yaml", f"{tmp_path}/t.yaml", f"{tmp_path}/sub/t.yaml"],
    }
    for folder, files in places.items():
        monkeypatch.chdir(tmp_path / folder)
        assert [line(source).split()[2] for source in sources] == files


def test_where_a_scenario_comes_from_is_known() -> None:
    steady = load(shipped() / "steady.yaml")
    made = steady.with_(users=5).with_seed(9)
    assert Source.of(made) == Source("steady", f"{shipped() / 'steady.yaml'}", {"users": 5})
    assert Source.of(Scenario.of(mapping())).file is None
    # A run of its file would merge the overrides only where it is live.
    assert Source.of(made.with_live_overrides()).file is None or not steady.live


def test_a_command_is_folded_where_a_shell_allows_it_and_never_cut() -> None:
    changes = {f"groups.group{n}.users": n for n in range(6)} | {"description": "x" * 100}
    parts = command("run", [Source("s", None), Source("s", "s.yaml", changes)], seed=7, called=("a", "b"))
    lines = folded(parts)
    assert len(lines) > 3
    assert [shown for shown in lines if len(shown) > 80] == [f"    --set description={'x' * 100} \\"]
    joined = "\n".join(lines).replace("\\\n", "")
    assert shlex.split(joined, comments=True) == shlex.split(" ".join(parts), comments=True)
    assert folded(["chatsim run s.yaml", "--seed 7"]) == ["chatsim run s.yaml --seed 7"]


def test_a_mapping_or_a_list_is_folded_between_its_items_and_never_within_a_text() -> None:
    changes = {
        "groups.a.network": {"latency": {"lognormal": {"median": "15ms", "p99": "45ms"}}, "loss": "1%"},
        "events": [{"at": "10s", "do": "drop"}, {"at": "20s", "do": "drop", "group": "a's, b's", "share": "50%"}],
    }
    parts = command("run", [Source("s", "s.yaml", changes)], seed=7)
    told = """\
chatsim run s.yaml \\
    --set 'groups.a.network={"latency": {"lognormal": {"median": "15ms",
    "p99": "45ms"}}, "loss": "1%"}' \\
    --set 'events=[{"at": "10s", "do": "drop"}, {"at": "20s", "do": "drop",
    "group": "a'"'"'s, b'"'"'s", "share": "50%"}]' --seed 7"""
    assert "\n".join(folded(parts)) == told
    # What a shell makes of it, and not what Python takes one for.
    line = told.replace("chatsim", r"printf '%s\0'", 1)
    words = subprocess.run(["sh", "-c", line], stdout=subprocess.PIPE, check=True, text=True).stdout.split("\0")
    assert words[6:] == ["--seed", "7", ""]
    assert options.changes([words[3], words[5]]) == changes
    long = command("run", [Source("s", "s.yaml", {"tags": ["a", "b" * 90]})], seed=7)
    assert folded(long)[1:] == ['    --set \'tags=["a",', '    "' + "b" * 90 + "\"]' \\", "    --seed 7"]


TWO: Final = mapping(
    duration="1min",
    groups=[
        {"name": "a", "users": 4, "session_size": 2, "network": {"latency": {"constant": "5ms"}}},
        {"name": "c", "users": 3, "messages": {"arrivals": "poisson", "rate": "6/min"}},
    ],
    events=[{"at": "10s", "do": "drop", "count": 1}],
    live={"time_scale": 0.5},
)

durations = st.sampled_from(["5ms", "0.4s", "2s", "3min", 0])
distributions = st.one_of(
    durations.map(lambda each: {"constant": each}),
    st.just({"uniform": {"low": "1ms", "high": "9ms"}}),
    st.just({"lognormal": {"median": "15ms", "p99": "45ms"}, "shift": "1ms"}),
    st.just({"mixture": [{"weight": 0.25, "constant": "1ms"}, {"weight": 0.75, "exponential": {"mean": "2ms"}}]}),
)
networks = st.fixed_dictionaries(
    {"latency": distributions}, optional={"loss": st.sampled_from(["1%", 0.5, 0]), "bandwidth": st.just("5Mbit/s")}
)
messages = st.one_of(
    st.just({"arrivals": "periodic", "rate": "30/min"}),
    st.builds(lambda think: {"arrivals": "closed", "think": think}, distributions),
    st.just({"arrivals": "profile", "profile": [["0s", "1/s"], ["20s", "2/s"]]}),
)
group_fields = {"network": networks, "messages": messages, "typing": st.booleans()}
happenings = st.builds(
    lambda what, at, whom: {"at": at, **whom, **what},
    st.sampled_from(
        [{"do": "drop"}, {"do": "freeze", "for": "3s"}, {"do": "latency", "factor": 2.5, "for": "1s"}],
    ),
    st.sampled_from(["5s", "20s", "0.5min"]),
    st.sampled_from([{}, {"group": "a"}, {"share": "50%"}, {"count": 2}]),
)


def listed(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    """A group of each of these names."""
    return st.fixed_dictionaries({"name": st.sampled_from(names), "users": st.integers(1, 9)}, optional=group_fields)


TEXTS: Final = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(["two   blanks", " it's {", "$HOME `x` \\", "5", "a: b", "#", "1e3", "", "x" * 90]),
)
KINDS: Final = {
    "scalars": st.one_of(
        st.tuples(st.just("description"), TEXTS),
        st.tuples(st.sampled_from(["duration", "warmup"]), st.sampled_from(["20s", "2min", "0.5h"])),
        st.tuples(st.just("tls"), st.booleans()),
        st.tuples(st.just("seed"), st.integers(0, 99)),
        st.tuples(st.just("tags"), st.lists(st.sampled_from(["a", "b-c"]), max_size=2)),
        st.tuples(st.just("expect"), st.just(["p99(delivery_latency) <= 50ms", "sent > 1"])),
        st.tuples(st.just("expect.0"), st.just("lost <= 1")),
    ),
    "settings": st.one_of(
        st.tuples(st.just("handler"), st.just({"rate_limit": "30/min", "algorithms": ["HS256"]})),
        st.tuples(st.just("handler.ping_interval"), st.sampled_from(["20s", "25s"])),
        st.tuples(st.just("costs"), st.sampled_from([0, {"frame": "1ms", "verify": {"constant": "2ms"}}])),
        st.tuples(st.just("costs.frame"), distributions),
        st.tuples(st.just("log"), st.builds(lambda latency: {"latency": latency}, distributions)),
        st.tuples(st.just("log.latency"), distributions),
        st.tuples(st.just("live"), st.sampled_from([{}, {"time_scale": 0.25, "groups": [{"name": "a", "users": 2}]}])),
        st.tuples(st.just("live.time_scale"), st.sampled_from([0.1, 1e-2])),
    ),
    "groups": st.one_of(
        st.tuples(st.just("groups"), st.tuples(listed("a", "b"), listed("c", "d", "x.y")).map(list)),
        st.tuples(st.just("groups"), listed("a", "only").map(lambda group: [group])),
        st.tuples(st.sampled_from(["groups.a", "groups.0"]), listed("a", "b")),
        st.tuples(st.just("groups.1"), listed("c", "d")),
        st.tuples(st.sampled_from([f"groups.{name}.users" for name in "abcd01"] + ["users"]), st.integers(1, 9)),
        st.tuples(st.sampled_from(["groups.a.name", "groups.0.name", "groups.b.name"]), st.sampled_from(["a", "b"])),
        st.tuples(st.sampled_from(["groups.1.name", "groups.c.name"]), st.sampled_from(["c", "d"])),
        st.tuples(st.sampled_from(["groups.a.network", "groups.0.network", "groups.d.network"]), networks),
        st.tuples(st.sampled_from(["groups.a.network.latency", "groups.1.network.latency"]), distributions),
        st.tuples(st.just("groups.1.messages"), messages),
        st.tuples(st.just("groups.1.messages.rate"), st.sampled_from(["1/s", "30/min"])),
    ),
    "events": st.one_of(
        st.tuples(st.just("events"), st.lists(happenings, max_size=3)),
        st.tuples(st.sampled_from(["events.0", "events.1"]), happenings),
        st.tuples(st.sampled_from(["events.0.at", "events.1.at", "events.2.at"]), st.sampled_from(["1s", "30s"])),
    ),
}
"""Paths with new values; some cannot be, or not after one another."""

ANY: Final = st.one_of(*KINDS.values())


def made_of(line: str) -> Scenario:
    """The scenario that a command plays, read as the command reads it; its file lies where the line says."""
    words = shlex.split(line, comments=True)
    sets = [words[at + 1] for at, word in enumerate(words) if word == "--set"]
    seed = int(words[words.index("--seed") + 1])
    return load(words[2]).with_(options.changes(sets)).with_seed(seed)


def told(scenario: Scenario) -> tuple[Any, str, str]:
    """All that is played of it, and the words of it."""
    bare = [each.model_copy(update={"expect": ()}) for each in (scenario, scenario.with_live_overrides())]
    return plain(scenario.words), repr(bare), repr(scenario.expect)


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scenario's file."""
    path = tmp_path_factory.mktemp("beside") / "two.yaml"
    path.write_text(yaml_text(TWO), encoding="utf-8")
    return path


@examples(200)
@example(
    # What a later change replaced led into what is not there when the line is read.
    steps=[
        {"events": [{"at": "1s", "do": "drop"}, {"at": "2s", "do": "drop"}]},
        {"events.1.at": "3s"},
        {"events": [{"at": "4s", "do": "drop"}]},
    ]
)
@example(
    # A group had another name when it was changed.
    steps=[{"groups.0.name": "b"}, {"groups.b.network": {"loss": "1%"}}, {"groups.0.name": "d"}]
)
@given(
    steps=st.sampled_from([ANY, *KINDS.values()]).flatmap(
        lambda kind: st.lists(st.lists(kind, min_size=1, max_size=2).map(dict), min_size=1, max_size=5)
    )
)
def test_whatever_was_changed_the_line_gives_the_same_scenario(beside: Path, steps: list[Mapping[str, Any]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(beside.parent)
        made = load(beside.name)
        for changes in steps:
            with suppress(UsageError):
                made = made.with_(changes)
        parts = command("run", [Source.of(made)], seed=made.seed)
        play = Play(scenario=made, wire="sim", file=beside.name)
        assert " ".join(play.again.split()) == play.again, "pages and lines of a log make one blank of several"
        for line in (" ".join(parts), "\n".join(folded(parts)).replace("\\\n", ""), play.again):
            assert told(made_of(line)) == told(made)
