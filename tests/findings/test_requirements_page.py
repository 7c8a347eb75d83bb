"""The matrix as a table and as a page: every value is there, and nothing of when and where."""

from __future__ import annotations

from chatsim.findings.finding import Finding
from chatsim.findings.matrix import matrix
from chatsim.findings.requirements_page import evidence, markdown, rows
from tests.findings.test_matrix import found, scenario


def test_a_line_says_how_many_of_its_scenarios_pass_on_each_wire() -> None:
    both = [scenario("a", "retry"), scenario("b", "retry")]
    made = matrix(both, ("sim", "live"), [*found("a", "sim"), *found("b", "sim", "fail", "pass")])
    [line] = [line for line in rows(made) if line[0] == "retry"]
    assert line == ["retry", "three retries, 30 s apart", "a, b", "1 of 2 pass", "not shown", "fail"]


def test_each_scenario_has_what_decides_on_each_wire_under_its_requirement() -> None:
    both = [scenario("a", "retry", expect=("lost == 0", "retries == 3")), scenario("b", "retry")]
    ran = [
        *found("a", "sim")[::-1],
        *found("a", "live", "pass", "fail"),
        *found("b", "sim", "fail", "pass"),
        *found("b", "live", "error", "error", why="no\nroom"),
    ]
    shown = dict(evidence(matrix(both, ("sim", "live"), ran)))
    assert shown["retry: three retries, 30 s apart"] == [
        ["a", "sim", "retries == 3", "3", "pass"],
        # What fails is not what speaks of the requirement.
        ["a", "live", "lost == 0: observed 3", "", "fail"],
        ["b", "sim", "retries == 3", "3", "fail"],
        ["b", "live", "no room", "", "error"],
    ]
    assert shown["typing: who is typing (no scenario carries it)"] == []


def test_what_would_hold_of_nothing_decides_nothing() -> None:
    ran = found("a", "sim")
    hollow = scenario("a", "failure handling", "8.1")
    shown = dict(evidence(matrix([hollow], ("sim",), ran)))
    [line] = shown["failure handling: whatever breaks, nothing acked is lost"]
    assert line == ["a", "sim", "promises nothing about it that would not hold if nobody had come", "", ""]
    assert shown["8.1: TLS (not shown on these wires)"] == []


def test_the_page_has_each_value_beside_its_expectation() -> None:
    made = matrix([scenario("a", "retry")], ("sim", "live"), [*found("a", "sim"), *found("a", "live", "fail", "pass")])
    text = markdown(made)
    assert "| a | `retries == 3` | 3 | **3: fail** |" in text
    assert "- a does not hold on live, fail: retries == 3: observed 3" in text
    assert "## typing: who is typing\n\nNo scenario carries it." in text


def test_a_value_does_not_look_like_the_limit_that_it_breaks() -> None:
    failed = [
        Finding(scenario="a", wire="sim", expectation="retries == 3", verdict="fail", observed=3.0000001, limit=3.0)
    ]
    assert "**3.0000001: fail**" in markdown(matrix([scenario("a", "retry")], ("sim",), failed))


def test_a_wire_that_cannot_show_it_has_an_empty_place() -> None:
    secured = scenario("a", "8.1", tls=True, expect=("retries == 3", "connections_peak == 2"))
    found_live = [
        Finding(scenario="a", wire="live", expectation="connections_peak == 2", verdict="pass", observed=2.0, limit=2.0)
    ]
    made = matrix([secured], ("sim", "live"), found_live)
    [line] = [line for line in rows(made) if line[0] == "8.1"]
    assert line == ["8.1", "TLS", "a", "not shown", "1 of 1 pass", "pass"]
    assert "| a | `connections_peak == 2` |  | 2 |" in markdown(made)


def test_why_there_is_no_verdict_stands_below() -> None:
    made = matrix([scenario("a", "retry")], ("sim",), found("a", "sim", "error", "error", why="no *room* | left"))
    assert "- a on sim: no &#42;room&#42; | left" in markdown(made)


def test_no_gap_is_said_too() -> None:
    made = matrix([scenario("a", "ours")], ("sim",), found("a", "sim"))
    made = type(made)(made.wires, made.rows[-1:])
    assert "There is no gap." in markdown(made)


def test_the_same_findings_are_the_same_page() -> None:
    made = [matrix([scenario("a", "retry")], ("sim",), found("a", "sim")) for _ in range(2)]
    assert markdown(made[0]) == markdown(made[1])


def test_what_people_call_their_own_is_no_markup() -> None:
    tag = "ours\n## typing: who is typing\n<script>*a* [b](c) | d_e</script> & more"
    name = "a_b_c"
    made = matrix([scenario(name, tag)], ("sim",), found(name, "sim", "fail", "pass"))
    text = markdown(made)
    heading = (
        "## ours ## typing: who is typing &lt;script>&#42;a&#42; &#91;b](c) | d&#95;e&lt;/script> &amp; more\n\n"
        "| scenario | expectation | sim |"
    )
    assert heading in text
    assert "| a&#95;b&#95;c | `retries == 3` | **3: fail** |" in text
    assert "<script>" not in text
    assert text.count("\n## ") == len(made.rows)
