"""A session in which nothing was judged is not green, though pytest calls skipping good."""

from __future__ import annotations

import pytest

from tests.pytest_plugin.sessions import WORDS, outside, session, write

REFUSED = WORDS.replace("tags:", "handler: {algorithms: [ES256]}\ntags:")
"""What live cannot play."""


def test_a_scenario_that_every_wire_refuses_is_not_green(pytester: pytest.Pytester) -> None:
    write(pytester.path, "small", "lost == 0", "sent >= 1", words=REFUSED)
    pytester.makepyfile("def test_mine(): pass")
    result = session(pytester, "--chatsim-on", "live")
    result.assert_outcomes(passed=1, skipped=3)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(["chatsim: small.yaml was judged on no wire: The crowd signs with HS256: *"])


def test_the_workers_tell_it_to_the_process_that_started_them(pytester: pytest.Pytester) -> None:
    write(pytester.path, "small", "lost == 0", "sent >= 1", words=REFUSED)
    result = outside(pytester, "--chatsim-on", "live", "-n", "2")
    result.assert_outcomes(skipped=3)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(["chatsim: small.yaml was judged on no wire: *"])


@pytest.mark.parametrize("wires", ["sim,live", "live,sim"])
def test_one_wire_that_judges_is_enough(wires: str, pytester: pytest.Pytester) -> None:
    write(pytester.path, "small", "lost == 0", words=REFUSED)
    result = session(pytester, "--chatsim-on", wires)
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*on no wire*")


def test_skipping_of_others_is_their_affair(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import pytest\ndef test_mine(): pytest.importorskip('no_such_module_anywhere')")
    assert session(pytester).ret == 0
