"""Whether the scenarios of a session were judged at all.

Decides that a scenario which every wire that was asked refused makes the session no success. Rule: pytest calls a
session good in which all was skipped; here nothing judged is never green, as with `chatsim check`.
"""

from __future__ import annotations

from typing import Any

import pytest

from chatsim.pytest_plugin.options import MARKER


class Judged:
    """A plugin that hears the reports; with xdist it does in the process that started the workers."""

    def __init__(self) -> None:
        # Why a scenario was not judged, "" once it was.
        self._why: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember the scenario of an expectation, and whether it was judged."""
        told: dict[str, Any] = dict(report.user_properties)
        if MARKER not in told:
            return
        reason = f"{told.get('why', 'skipped')}" if told["verdict"] == "skipped" else ""
        known = self._why.get(told[MARKER], reason)
        self._why[told[MARKER]] = reason and known

    @property
    def _unjudged(self) -> dict[str, str]:
        return {file: why for file, why in self._why.items() if why}

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A session that would be good ends as one in which nothing was run."""
        if self._unjudged and session.exitstatus == pytest.ExitCode.OK and not hasattr(session.config, "workerinput"):
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say which they were."""
        for file, why in self._unjudged.items():
            terminalreporter.write_line(f"chatsim: {file} was judged on no wire: {why}", red=True)
