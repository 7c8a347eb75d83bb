"""Invariant: whatever was found, the document is one that Jenkins and others read, and nothing in it is absent."""

from __future__ import annotations

import re
from math import inf
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsim.findings.finding import VERDICTS, Finding, Findings, unreadable
from chatsim.findings.junit import junit
from chatsim.scenario.load import Problem
from tests.findings.examples import finding

TIME = re.compile(r"(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]*)?")
"""What Jenkins takes for a time (junit-10.xsd, SUREFIRE_TIME)."""

ALLOWED = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": ({"name", "tests", "failures", "errors", "skipped", "time"}, {"testcase"}),
    # Beyond junit-10.xsd: file, line and properties, as pytest (xunit1), GitLab and others write and read them.
    "testcase": ({"name", "classname", "time", "file", "line"}, {"properties", "failure", "error", "skipped"}),
    "properties": (set(), {"property"}),
    "property": ({"name", "value"}, set()),
    "failure": ({"type", "message"}, set()),
    "error": ({"type", "message"}, set()),
    "skipped": ({"type", "message"}, set()),
}
"""Each element's attributes and children."""

REQUIRED = {
    "testsuite": {"name", "tests", "failures", "errors"},
    "testcase": {"name", "classname", "time"},
    "property": {"name", "value"},
}


def checked(findings: Findings) -> ElementTree.Element:
    """The document, read again, once it has kept every rule of the schema."""
    root = ElementTree.fromstring(junit(findings).encode())
    assert root.tag == "testsuites"
    for element in root.iter():
        attributes, children = ALLOWED[element.tag]
        assert set(element.attrib) <= attributes
        assert set(element.attrib) >= REQUIRED.get(element.tag, set())
        assert {child.tag for child in element} <= children
        assert TIME.fullmatch(element.get("time", "0"))
    named = [(case.attrib["classname"], case.attrib["name"]) for case in root.iter("testcase")]
    assert len(set(named)) == len(named), "each case is another"
    for holder in (root, *root):
        cases = list(holder.iter("testcase"))
        assert int(holder.attrib["tests"]) == len(cases)
        assert int(holder.attrib["failures"]) == sum(case.find("failure") is not None for case in cases)
        assert int(holder.attrib["errors"]) == sum(case.find("error") is not None for case in cases)
    assert len(list(root.iter("testcase"))) == len(findings.found)
    return root


def properties(case: ElementTree.Element) -> dict[str, str]:
    return {each.attrib["name"]: each.attrib["value"] for each in case.iter("property")}


def test_a_case_has_its_place_its_values_and_its_line() -> None:
    root = checked(Findings([finding(took_s=1.5), finding(expectation="lost == 0", verdict="pass", took_s=1.5)]))
    first, second = root.iter("testcase")
    assert (first.get("name"), first.get("classname")) == ("p99(delivery_latency) <= 100ms", "steady.sim")
    assert (first.get("file"), first.get("line")) == ("scenarios/steady.yaml", "17")
    assert properties(first)["observed"] == "0.104"
    assert properties(first)["n"] == "4384"
    assert properties(first)["again"] == "chatsim run scenarios/steady.yaml --seed 1"
    failure = first.find("failure")
    assert failure is not None
    assert failure.get("message") == failure.text == finding().sentence
    assert second.find("failure") is None
    # One run is played once, whatever it has to keep.
    assert [case.get("time") for case in (root, first, second)] == ["1.500", "1.500", "0.000"]


def test_two_files_of_one_name_are_told_apart_by_their_files() -> None:
    here, there = finding(file="a/steady.yaml"), finding(file="b/steady.yaml")
    alone = finding(scenario="other", file="b/other.yaml")
    elsewhere = finding(file="b/steady.yaml", wire="live")
    root = checked(Findings([here, there, alone, elsewhere]))
    assert [case.get("classname") for case in root.iter("testcase")] == [
        "a/steady.yaml.sim",
        "b/steady.yaml.sim",
        "other.sim",
        "steady.live",
    ]
    assert [suite.get("name") for suite in root] == [
        "a/steady.yaml (sim)",
        "b/steady.yaml (sim)",
        "other (sim)",
        "steady (live)",
    ]


def test_who_promises_the_same_twice_has_two_cases() -> None:
    root = checked(Findings([finding(line=17), finding(line=18), finding(line=19)]))
    text = finding().expectation
    assert [case.get("name") for case in root.iter("testcase")] == [text, f"{text}#2", f"{text}#3"]


@pytest.mark.parametrize(
    ("verdict", "element", "kind"),
    [
        ("fail", "failure", "expectation"),
        ("inconclusive", "failure", "inconclusive"),
        ("error", "error", "invalid"),
        ("skipped", "skipped", "skipped"),
    ],
)
def test_what_is_no_success_has_its_element(verdict: str, element: str, kind: str) -> None:
    (case,) = checked(Findings([finding(verdict=verdict, why="because")])).iter("testcase")
    found = case.find(element)
    assert found is not None
    assert found.get("type") == kind


def test_a_file_that_could_not_be_read_is_an_error() -> None:
    root = checked(Findings([unreadable(Problem("bad.yaml", 3, 5, "seed", "is no number"))]))
    (case,) = root.iter("testcase")
    assert (case.get("file"), case.get("line")) == ("bad.yaml", "3")
    assert "seed: is no number" in str(case.find("error").get("message"))  # type: ignore[union-attr]  # it is there


def test_infinity_is_said_and_what_is_no_number_is_left_out() -> None:
    (case,) = checked(Findings([finding(observed=inf)])).iter("testcase")
    assert properties(case)["observed"] == "inf"
    assert "low" not in properties(case)


def test_control_characters_and_the_end_of_cdata_do_not_break_it() -> None:
    root = checked(Findings([finding(why="\x00 bell \x07 ]]> <b> & \ud800 \uffff", verdict="error")]))
    (case,) = root.iter("testcase")
    error = case.find("error")
    assert error is not None
    assert r"\x00 bell \x07 ]]> <b> & \xd800 \xffff" in str(error.text)


FINDING = st.builds(
    finding,
    scenario=st.text(max_size=8),
    expectation=st.text(max_size=20),
    file=st.text(max_size=8),
    why=st.text(max_size=20),
    again=st.text(max_size=8),
    line=st.integers(0, 99),
    verdict=st.sampled_from(VERDICTS),
    observed=st.floats(),
    took_s=st.floats(0, 1e6),
)


@given(st.lists(FINDING, max_size=6))
def test_any_text_leaves_a_document_that_keeps_the_rules(found: list[Finding]) -> None:
    checked(Findings(found))
