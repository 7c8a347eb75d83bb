"""The tree itself: every source file has its test, and no file says what this project does not say."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatsim.scenario.load import load

ROOT = Path(__file__).parents[1]
SOURCES = ("chatsim", "tests", "scenarios", "notebooks", ".ci")
TEXTS = (".py", ".yaml", ".md", ".toml", ".json", ".ipynb", "")

LINES_MAX = 800
"""A file that needs more has more than one subject."""

WITHOUT_TEST = {
    "chatsim/__main__.py": "one line, started by tests/cli/test_main.py",
    "chatsim/core/codes.py": "numbers without behaviour; tests/core/test_handler.py and others expect them",
    "chatsim/core/counters.py": "numbers without behaviour; tests/core/test_handler.py reads them",
    "chatsim/core/facts.py": "shapes without behaviour; tests/journal/test_steps.py writes and reads them",
    "chatsim/core/greetings.py": "tests/core/test_handler.py is about welcome and draining",
    "chatsim/core/notices.py": "tests/core/test_delivery.py is about what senders hear",
    "chatsim/core/restorer.py": "what it makes of a snapshot is tested in tests/core/test_snapshot.py",
    "chatsim/live/log.py": "a port without behaviour; its two logs have tests of their own",
    "chatsim/verdict/result.py": "shapes without behaviour; the runner's result has them",
    "chatsim/journal/record.py": "rows without behaviour; what is made of them is tested in tests/verdict",
}
"""Source files without a mirrored test file, each with its reason."""

BANNED = {
    r"\bTODO\b|\bFIXME\b|\bXXX\b|\bHACK\b": "the finished thing, or a sentence in the README's limits",
    r"unittest\.mock|MagicMock|mocker\b": "a fake: a small class that answers what the test told it",
    r"pytest\.skip|mark\.skip|mark\.xfail": "a test that can pass and can fail everywhere",
    r"np\.random\.(seed|rand|randn|choice)\b|random\.seed\(": "a named stream of chatsim.people.streams",
    r"utcnow\(|datetime\.now\(\)": "wall time handed in as an argument, or datetime.now(UTC)",
    r"(?i)\bwhite-?list|\bblack-?list": "allowlist, blocklist",
    r"(?i)\bsanity[ -]check": "what is checked",
    r"(?i)\bissue #?\d|\bpull request #?\d": "the reason itself",
    r"\b(?!chatsim_)\w+_(millis|msecs|secs|seconds)\b": "a name ending in _s (only Prometheus wants _seconds)",
}
"""What must not be written, and what to write instead."""

MACHINE_PATH = re.compile(r"(?<![\w.~-])/(home|root|Users|work|mnt|tmp)/\w|[A-Z]:\\\\?Users")


def files() -> Iterator[Path]:
    """Every text file of the project that people write."""
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and path.suffix in TEXTS and "__pycache__" not in path.parts:
                yield path
    yield from (path for path in sorted(ROOT.iterdir()) if path.is_file() and path.suffix in TEXTS[2:4])
    yield ROOT / "Makefile"


def modules() -> list[str]:
    """Every source file with something in it, as a path from the top."""
    found = sorted((ROOT / "chatsim").rglob("*.py"))
    return [path.relative_to(ROOT).as_posix() for path in found if path.read_text(encoding="utf-8").strip()]


@pytest.mark.parametrize("module", modules())
def test_every_source_file_has_its_test_file(module: str) -> None:
    inner = Path(module).relative_to("chatsim")
    name = f"test_{inner.stem.strip('_')}.py"
    mirrored = ROOT / "tests" / inner.parent / name
    assert mirrored.is_file() != (module in WITHOUT_TEST), f"{module} wants tests/{inner.parent.as_posix()}/{name}"


def test_every_exception_is_about_a_file() -> None:
    assert set(WITHOUT_TEST) <= set(modules())
    assert all(WITHOUT_TEST.values())


@pytest.mark.parametrize("word", BANNED)
def test_banned_words(word: str) -> None:
    pattern = re.compile(word)
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]!r}; say instead: {BANNED[word]}"
        for path in files()
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (match := pattern.search(line))
    ]
    assert found == []


def test_no_path_of_one_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in files()
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (match := MACHINE_PATH.search(line))
    ]
    assert found == []


def test_files_stay_readable() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files() if path.suffix == ".py"}
    assert {path.name: length for path, length in lengths.items() if length > LINES_MAX} == {}


def test_the_tests_see_the_tree() -> None:
    found = {path.relative_to(ROOT).as_posix() for path in files()}
    assert {"chatsim/errors.py", "README.md", "pyproject.toml", "scenarios/steady.yaml", "Makefile", ".ci/run"} <= found


def recipe(target: str) -> list[str]:
    """The commands of one target of the Makefile, as they are written."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", text, re.MULTILINE)
    assert found is not None
    return [line.strip() for line in found[1].splitlines()]


def test_every_test_is_run_by_one_of_two_targets_and_by_no_more() -> None:
    """The two say the same to pytest, but for a mark that a test either has or has not; and continuous integration
    runs both."""
    (fast,) = [line for line in recipe("test") if "pytest" in line]
    (slow,) = [line for line in recipe("test-slow") if "pytest" in line]
    assert " -m 'not slow' " in fast
    assert fast.replace(" -m 'not slow' ", " ") == slow.replace(" -m slow ", " ")
    assert re.fullmatch(r"\$\(BIN\)/python -m pytest -q -m slow -n auto --dist loadfile", slow), "nothing is left out"
    steps = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert steps.index("make test") < steps.index("make test-slow")


def test_the_whole_core_is_covered_by_its_own_tests_each_time() -> None:
    steps = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert "HYPOTHESIS_PROFILE=fast make coverage-core" in steps
    played, judged = (recipe("coverage-core")[place] for place in (2, -1))
    assert played.endswith(" tests/core")
    assert judged == "$(BIN)/coverage report --include='chatsim/core/*' --fail-under=100"


def listed(name: str) -> list[Path]:
    """The scenarios of one list of the Makefile."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    found = re.search(rf"^{name} := ((?:.*\\\n)*.*)$", text, re.MULTILINE)
    assert found is not None
    words = found[1].replace("\\\n", " ").split()
    return [path for word in words for path in sorted((ROOT / "scenarios").glob(f"{word}.yaml"))]


def test_every_scenario_is_played_on_real_sockets() -> None:
    alone, beside = (line for line in recipe("test-slow") if "--on live" in line)
    assert " $(ALONE:%=scenarios/%.yaml) " in alone
    assert " $(BESIDE:%=scenarios/%.yaml) " in beside
    files = listed("ALONE") + listed("BESIDE")
    assert sorted(files) == sorted((ROOT / "scenarios").rglob("*.yaml")), "each, and none twice"


def test_what_promises_how_soon_messages_are_there_is_played_alone() -> None:
    """On real sockets, where who plays beside it would be measured with it."""
    for path in listed("BESIDE"):
        for promise in load(path).with_live_overrides().scaled().expect:
            soon = promise.metric.endswith("_latency") and promise.unit == "s" and promise.limit < 1.0
            assert not soon, f"{path.name}: {promise.text}"


def test_every_scenario_is_played_in_virtual_time() -> None:
    assert recipe("virtual") == ["$(BIN)/chatsim check scenarios --on virtual"]
    steps = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert any(step.startswith("make ") and "virtual" in step.split() for step in steps)


def test_nothing_is_collected_by_neither() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    assert settings["testpaths"] == ["tests"]
    left_out = {"-k", "-m", "--ignore", "--ignore-glob", "--deselect"}
    assert left_out.isdisjoint(word.partition("=")[0] for word in settings["addopts"])
    assert {"norecursedirs", "python_files", "python_functions", "collect_imported_tests"}.isdisjoint(settings)
    for path in sorted((ROOT / "tests").rglob("conftest.py")):
        assert "collect_ignore" not in path.read_text(encoding="utf-8")
