"""What counts as shown, and everything that is a gap."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatsim.findings.finding import Finding
from chatsim.findings.matrix import Matrix, Row, matrix
from chatsim.scenario.expectations import METRICS
from chatsim.scenario.model import Scenario
from chatsim.scenario.requirements import REQUIREMENTS
from chatsim.store.document import encode

WIRES = ("sim", "live")


def scenario(name: str, *tags: str, expect: tuple[str, ...] = ("retries == 3", "lost == 0"), **more: Any) -> Scenario:
    words = {"name": name, "duration": "30s", "groups": [{"name": "people", "users": 2}], "expect": list(expect)}
    return Scenario.of({**words, "requirements": list(tags), **more})


def found(name: str, wire: str, *verdicts: str, why: str = "") -> list[Finding]:
    """What came of the two expectations."""
    texts = ("retries == 3", "lost == 0")
    return [
        Finding(scenario=name, wire=wire, expectation=text, verdict=verdict, observed=3.0, limit=3.0, n=1, why=why)  # type: ignore[arg-type]
        for text, verdict in zip(texts, verdicts or ("pass", "pass"), strict=True)
    ]


def row(made: Matrix, tag: str) -> Row:
    return next(each for each in made.rows if each.requirement == tag)


def test_what_passes_on_every_wire_is_shown_by_what_speaks_of_it() -> None:
    made = matrix([scenario("a", "retry")], WIRES, [*found("a", "sim"), *found("a", "live")])
    shown = row(made, "retry")
    assert shown.gaps == ()
    assert [(proof.wire, proof.verdict) for proof in shown.proofs] == [("sim", "pass"), ("live", "pass")]
    assert [[finding.expectation for finding in proof.evidence] for proof in shown.proofs] == [["retries == 3"]] * 2


def test_a_requirement_without_a_scenario_is_a_gap() -> None:
    made = matrix([scenario("a", "retry")], ("sim",), found("a", "sim"))
    gaps = row(made, "typing").gaps
    assert gaps == ("typing (who is typing) has no scenario: write its tag into `requirements:` of one",)
    assert made.verdict == "fail"
    assert len(made.gaps) == len(REQUIREMENTS) - 1


@pytest.mark.parametrize("verdict", ["fail", "inconclusive"])
def test_a_scenario_that_fails_as_a_whole_shows_nothing_of_what_it_carries(verdict: str) -> None:
    # What fails is not what speaks of the requirement.
    both = [*found("a", "sim"), *found("a", "live", "pass", verdict)]
    made = matrix([scenario("a", "retry")], WIRES, both)
    assert row(made, "retry").gaps == (f"a does not hold on live, {verdict}: lost == 0: observed 3",)


def test_a_run_that_proves_nothing_is_an_error_and_a_gap() -> None:
    made = matrix([scenario("a", "retry")], ("sim",), found("a", "sim", "error", "error", why="it broke"))
    assert row(made, "retry").gaps == ("a proves nothing on sim: it broke",)
    assert row(made, "retry").proofs[0].evidence == ()
    assert made.verdict == "error"


def test_what_proves_nothing_hides_no_broken_promise() -> None:
    both = [*found("a", "sim", "error", "error", why="it broke"), *found("b", "sim", "pass", "fail")]
    made = matrix([scenario("a", "retry"), scenario("b", "retry")], ("sim",), both)
    assert made.verdict == "fail"


def test_what_a_wire_refuses_is_no_gap_where_another_scenario_shows_it() -> None:
    refused = found("a", "sim", "skipped", "skipped", why="it cannot be played there")
    both = [scenario("a", "retry"), scenario("b", "retry")]
    assert row(matrix(both, ("sim",), [*refused, *found("b", "sim")]), "retry").gaps == ()
    alone = row(matrix(both[:1], ("sim",), refused), "retry")
    assert alone.gaps == ("retry is shown by no scenario on sim (a: it cannot be played there)",)


def test_what_was_not_played_is_not_shown() -> None:
    made = matrix([scenario("a", "retry")], WIRES, found("a", "sim"))
    assert row(made, "retry").gaps == ("retry is shown by no scenario on live (a: it was not played)",)


def test_who_promises_nothing_about_a_requirement_does_not_show_it() -> None:
    made = matrix([scenario("a", "typing")], ("sim",), found("a", "sim"))
    assert row(made, "typing").gaps == ("a promises nothing about typing: expect something of typing_events",)


def test_who_promises_what_would_hold_of_nothing_does_not_show_it() -> None:
    made = matrix([scenario("a", "retry", expect=("gave_up == 0", "lost == 0"))], ("sim",), found("a", "sim"))
    (gap,) = row(made, "retry").gaps
    assert gap.startswith("a promises nothing about retry that would not hold if nobody had come: expect that")


def test_tls_is_shown_where_it_is_spoken_and_nowhere_else() -> None:
    secured = scenario("a", "8.1", tls=True, expect=("retries == 3", "connections_peak == 2"))
    both = row(matrix([secured], WIRES, [*found("a", "sim"), *found("a", "live")]), "8.1")
    assert [(proof.wire, proof.verdict) for proof in both.proofs] == [("live", "pass")]
    assert both.gaps == ()
    alone = row(matrix([secured], ("sim",), found("a", "sim")), "8.1")
    assert (alone.proofs, alone.gaps) == ((), ("8.1 (TLS) is shown on live alone: play it there too",))


def test_what_is_promised_live_alone_counts_there_alone() -> None:
    one = scenario("a", "retry", live={"expect": ["lost == 0"]})
    made = matrix([one], ("live",), found("a", "live")[1:])
    assert row(made, "retry").gaps == ("a promises nothing about retry: expect something of retries, gave_up",)


def test_a_tag_of_somebodys_own_is_a_row_of_its_own_at_the_end() -> None:
    made = matrix([scenario("a", "ours")], ("sim",), found("a", "sim"))
    assert [each.requirement for each in made.rows] == [*REQUIREMENTS, "ours"]
    assert (made.rows[-1].title, made.rows[-1].gaps) == ("", ())
    assert len(made.rows[-1].proofs[0].evidence) == 2


def test_all_of_it_is_a_json_document() -> None:
    made = matrix([scenario("a", "retry")], ("sim",), found("a", "sim"))
    document = json.loads(encode(made.to_dict()))
    assert (document["verdict"], document["wires"]) == ("fail", ["sim"])
    [shown] = [each for each in document["requirements"] if each["requirement"] == "retry"]
    assert shown["proofs"][0]["evidence"][0]["expectation"] == "retries == 3"
    assert document["gaps"] == made.gaps


def test_when_everything_is_shown_it_passes() -> None:
    everything = scenario("a", *REQUIREMENTS, tls=True, expect=tuple(_promises()))
    texts = [each.text for each in everything.expect]
    passing = [Finding(scenario="a", wire="live", expectation=text, verdict="pass") for text in texts]
    made = matrix([everything], ("live",), passing)
    assert (made.verdict, made.gaps) == ("pass", [])


def _promises() -> list[str]:
    """One about everything."""
    words = dict.fromkeys(word for known in REQUIREMENTS.values() for word in known.shown_by)
    return [f"count({word}) >= 1" if word in METRICS else f"{word} >= 1" for word in words]
