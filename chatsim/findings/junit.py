"""Findings as JUnit XML: what every CI system reads.

Decides the shape: a suite for each run, a test case for each expectation and for each invariant that did not hold, its
values as properties and the place where it is written as attributes. Rule: what Jenkins' schema (junit-10.xsd) allows,
and beyond it only what was asked for: `file` and `line`, and the properties of a test case. JUnit knows no doubt: what
is inconclusive is a failure of that type. Whatever a scenario is called, the document is well-formed, and no two test
cases have the same two names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final
from xml.etree import ElementTree

from chatsim.findings.finding import INVARIANT, Finding, Findings
from chatsim.store.document import cell

_UNSAID: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot say, be it escaped (section 2.2, Char)."""

_PROPERTIES: Final = (
    "observed",
    "limit",
    "unit",
    "n",
    "low",
    "high",
    "replications",
    "seed",
    "wire",
    "verdict",
    "again",
)

_ELEMENTS: Final = {"fail": "failure", "inconclusive": "failure", "error": "error", "skipped": "skipped"}
_TYPES: Final = {"fail": "expectation", "inconclusive": "inconclusive", "error": "invalid", "skipped": "skipped"}


def junit(findings: Findings) -> str:
    """The document, with its XML declaration and a final newline."""
    root = ElementTree.Element("testsuites", {"name": "chatsim", **_tally(findings.found)})
    total_s = 0.0
    twins = _twins(findings)
    names = _Names()
    for (scenario, wire), found in findings.runs():
        # Two files of one name are told apart by where they are; else a case keeps its name wherever its file goes.
        called = (found[0].file or scenario) if (scenario, wire) in twins else scenario
        name, classname = (f"{called} ({wire})", f"{called}.{wire}") if wire else (called, called)
        took_s = found[0].took_s
        total_s += took_s
        suite = ElementTree.SubElement(root, "testsuite", {"name": _said(name), **_tally(found)})
        suite.set("skipped", f"{sum(finding.verdict == 'skipped' for finding in found)}")
        suite.set("time", _time(took_s))
        for place, finding in enumerate(found):
            # The whole run is played once, for the first of them.
            _case(suite, finding, took_s if place == 0 else 0.0, names.of(finding, classname))
    root.set("time", _time(total_s))
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _twins(findings: Findings) -> set[tuple[str, str]]:
    """The names and wires by which the findings of more than one file go."""
    files: dict[tuple[str, str], set[str]] = {}
    for key, found in findings.runs():
        files.setdefault(key, set()).add(found[0].file)
    return {key for key, of in files.items() if len(of) > 1}


class _Names:
    """The names that were given: who promises the same twice has two test cases."""

    def __init__(self) -> None:
        self._given: set[tuple[str, str]] = set()
        self._times: Counter[tuple[str, str]] = Counter()

    def of(self, finding: Finding, classname: str) -> tuple[str, str]:
        """The two names of a finding, as XML can say them and as none before it has them."""
        whose = _said(classname)
        wanted = found = _said(finding.expectation or f"{finding.where}: can be read")
        while (whose, found) in self._given:
            self._times[whose, wanted] += 1
            found = f"{wanted}#{self._times[whose, wanted] + 1}"
        self._given.add((whose, found))
        return whose, found


def _case(suite: ElementTree.Element, finding: Finding, took_s: float, names: tuple[str, str]) -> None:
    """One test case, by its class and its own name."""
    case = ElementTree.SubElement(suite, "testcase", {"name": names[1], "classname": names[0]})
    case.set("time", _time(took_s))
    if finding.file:
        case.set("file", _said(finding.file))
        case.set("line", f"{max(1, finding.line)}")
    properties = ElementTree.SubElement(case, "properties")
    for name in _PROPERTIES:
        value = cell(getattr(finding, name))
        if value:
            ElementTree.SubElement(properties, "property", {"name": name, "value": _said(value)})
    element = _ELEMENTS.get(finding.verdict)
    if element is not None:
        told = ElementTree.SubElement(case, element)
        told.set("type", INVARIANT if finding.is_invariant else _TYPES[finding.verdict])
        told.set("message", _said(finding.sentence))
        told.text = _said(finding.sentence)


def _tally(found: Iterable[Finding]) -> dict[str, str]:
    verdicts = [finding.verdict for finding in found]
    failures = verdicts.count("fail") + verdicts.count("inconclusive")
    return {"tests": f"{len(verdicts)}", "failures": f"{failures}", "errors": f"{verdicts.count('error')}"}


def _time(seconds: float) -> str:
    return f"{seconds:.3f}"


def _said(text: str) -> str:
    """The text as XML can say it: what it cannot is named by its number."""
    return _UNSAID.sub(lambda match: f"\\x{ord(match[0]):02x}", text)
