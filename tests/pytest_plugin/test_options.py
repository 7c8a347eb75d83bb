"""The options: what they cannot be is one sentence at the beginning of the session."""

from __future__ import annotations

import pytest

from chatsim.pytest_plugin.options import WIRES, Options
from tests.pytest_plugin.sessions import session, write


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--chatsim-on", "moon"], "there is no wire 'moon'; say some of sim,virtual,live"),
        (["--chatsim-on", "sim,"], "there is no wire ''"),
        (["--chatsim-seed", "-1"], "give a whole number of 0 or more"),
        (["--chatsim-seed", "many"], "give a whole number of 0 or more"),
        (["--chatsim-seed", "7" * 5000], "--chatsim-seed " + "7" * 40 + "...: give a whole number of 0 or more"),
        (["--chatsim-seed", f"{2**63}"], "below 2^63"),
        (["--chatsim-replications", "7" * 5000], "give a whole number of at least 2, or auto"),
        (["--chatsim-replications", "1"], "give a whole number of at least 2, or auto"),
        (["--chatsim-replications", "often"], "give a whole number of at least 2, or auto"),
        (["--chatsim-replications", "5", "--chatsim-on", "sim,live"], "leave live out"),
    ],
)
def test_what_cannot_be_is_refused_at_once(words: list[str], sentence: str, pytester: pytest.Pytester) -> None:
    write(pytester.path, "small", "lost == 0")
    result = session(pytester, *words)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line.startswith("ERROR: ")]
    assert sentence in line


def options(pytester: pytest.Pytester, *words: str) -> Options:
    return Options.of(pytester.parseconfig("-p", "no:chatsim", "-p", "chatsim.pytest_plugin", *words))


def test_they_are_read(pytester: pytest.Pytester) -> None:
    assert options(pytester) == Options()
    assert options(pytester, "--chatsim-on", "live, sim,live").wires == ("live", "sim")
    assert options(pytester, "--chatsim-on", ",".join(WIRES)).wires == WIRES
    assert options(pytester, "--chatsim-seed", "0").seed == 0
    assert options(pytester, "--chatsim-seed", f"{2**63 - 1}").seed == 2**63 - 1
    # Zeros in front are worth nothing, however many they are.
    assert options(pytester, "--chatsim-seed", "0" * 5000 + "7").seed == 7
    assert options(pytester, "--chatsim-replications", "auto").replications == "auto"
    assert options(pytester, "--chatsim-replications", "12").replications == 12
