"""A difference is one of pairs, and is told where luck does not explain it."""

from __future__ import annotations

import re
from math import inf, isnan, nan
from pathlib import Path

import pandas as pd
import pytest

from chatsim.analysis.compared import SUMMARY, Compared
from chatsim.analysis.numbers import Replication
from chatsim.analysis.paired import compare_paired
from chatsim.analysis.replicated import Replicated
from chatsim.analysis.slo import Looks
from chatsim.errors import UsageError
from chatsim.verdict.again import Source

LUCK = [0.080, 0.095, 0.078, 0.103, 0.081, 0.079, 0.094, 0.082, 0.090, 0.071]


def replicated(scenario: str, source: Source | None = None, **numbers: list[float]) -> Replicated:
    rows = zip(*numbers.values(), strict=True)
    found = [Replication(at, 5 + at, dict(zip(numbers, row, strict=True)), []) for at, row in enumerate(rows)]
    return Replicated(scenario, "sim", found, [], Looks(), source)


def test_shared_luck_goes_out_of_the_difference() -> None:
    later = [value + 0.002 + 0.0001 * (at % 3) for at, value in enumerate(LUCK)]
    found = Compared(replicated("a", p99_s=LUCK), replicated("b", p99_s=later))
    table = found.summary()
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == SUMMARY
    paired = compare_paired(LUCK, later)
    assert table.difference[0] == paired.difference.mean
    assert table.variance_ratio[0] == paired.variance_ratio > 100
    assert found.changed().metric.tolist() == ["p99_s"]


def test_what_luck_explains_is_not_told() -> None:
    found = Compared(replicated("a", p99_s=LUCK), replicated("b", p99_s=LUCK[::-1]))
    assert found.changed().empty
    assert repr(found).splitlines()[:2] == [
        "b - a on sim, 10 pairs from seed 5:",
        "  0 of 1 numbers differ, 0 would by luck",
    ]


def test_pairs_without_a_sample_and_numbers_that_one_lacks_are_left_out() -> None:
    a = replicated("a", p99_s=[nan, *LUCK[1:]], only_a=LUCK, empty=[nan] * 10)
    b = replicated("b", p99_s=LUCK, empty=[nan] * 10)
    table = Compared(a, b).summary()
    assert table.metric.tolist() == ["p99_s"]
    assert table.n.tolist() == [9]


def test_a_quantile_of_too_few_messages_has_no_interval_of_its_difference() -> None:
    later = [value + 0.01 for value in LUCK]
    enough = replicated("a", delivery_latency_p99_s=LUCK, delivery_latency_count=[299.0] * 10)
    short = replicated("b", delivery_latency_p99_s=later, delivery_latency_count=[298.0] * 10)
    row = Compared(enough, short).summary().iloc[0]
    assert (row.difference, row.needed, row.n) == (pytest.approx(0.01), 299, 10)
    assert row[["low", "high", "variance_ratio"]].isna().all()
    assert Compared(enough, short).changed().metric.tolist() == ["delivery_latency_count"]
    assert Compared(enough, enough).summary().needed.tolist() == [0, 0]
    never = replicated("b", delivery_latency_p99_s=[inf] * 10, delivery_latency_count=[298.0] * 10)
    assert Compared(enough, never).summary().low[0] == inf


def test_two_infinities_have_no_difference() -> None:
    a, b = replicated("a", max_s=[inf, *LUCK[1:]]), replicated("b", max_s=[inf, *LUCK[1:]])
    found = Compared(a, b)
    row = found.summary().iloc[0]
    assert (row.a, row.b) == (inf, inf)
    assert isnan(row.difference)
    assert found.changed().empty
    worse = Compared(replicated("a", max_s=LUCK), b)
    assert worse.summary().difference[0] == inf
    assert worse.changed().empty, "one pair of ten may be luck"
    worst = Compared(replicated("a", max_s=LUCK), replicated("b", max_s=[inf] * 10))
    assert worst.changed().metric.tolist() == ["max_s"]


def test_it_reads_in_eighty_columns_and_runs_no_script() -> None:
    later = [value + 0.01 for value in LUCK]
    found = Compared(replicated("<script>" + "x" * 90, p99_s=LUCK), replicated("b", p99_s=later))
    assert max(map(len, repr(found).splitlines())) <= 80
    assert "<script>" not in found._repr_html_()
    assert "+0.01" in found._repr_html_()


def test_what_the_last_digits_of_floats_differ_in_is_no_difference() -> None:
    rounded = [value + 1e-15 + 1e-13 * at for at, value in enumerate(LUCK)]
    found = Compared(replicated("a", p99_s=LUCK, sent=[5.0] * 10), replicated("b", p99_s=rounded, sent=[6.0] * 10))
    row = found.summary().set_index("metric").loc["p99_s"]
    assert (row.difference, row.low, row.high) == (0.0, 0.0, 0.0)
    assert found.changed().metric.tolist() == ["sent"]
    # Luck moves neither: one is the same in all pairs, and of the other the difference is.
    assert found.told() == "1 of 2 numbers differ, 0 would by luck"
    microseconds = Compared(found.a, replicated("b", p99_s=[value + 1e-6 for value in LUCK], sent=[5.0] * 10))
    assert microseconds.changed().metric.tolist() == ["p99_s"]


def test_infinities_on_both_sides_have_no_difference_and_are_no_number_that_could_differ() -> None:
    a = replicated("a", max_s=[inf, *LUCK[1:]], p99_s=LUCK)
    b = replicated("b", max_s=[*LUCK[1:], inf], p99_s=LUCK[::-1])
    found = Compared(a, b)
    row = found.summary().query("metric == 'max_s'").iloc[0]
    assert (row.a, row.b, row.n) == (inf, inf, 10)
    assert isnan(row.difference)
    assert found.told() == "0 of 1 numbers differ, 0 would by luck"
    assert "max_s" not in repr(found)


def test_differences_that_rise_by_luck_have_an_interval_all_the_same() -> None:
    rising = [value + 0.001 * at for at, value in enumerate(LUCK)]
    assert Compared(replicated("a", p99_s=LUCK), replicated("b", p99_s=rising)).summary().n.tolist() == [10]


def test_it_comes_back_from_its_files(tmp_path: Path) -> None:
    found = Compared(replicated("a", max_s=[inf, *LUCK[1:]], p99_s=LUCK), replicated("b", max_s=LUCK, p99_s=LUCK))
    csv, parquet = found.to_csv(tmp_path / "deep" / "c.csv"), found.to_parquet(tmp_path / "c.parquet")
    pd.testing.assert_frame_equal(pd.read_csv(csv, dtype={"metric": "string"}), found.summary())
    pd.testing.assert_frame_equal(pd.read_parquet(parquet), found.summary(), check_dtype=False)
    with pytest.raises(UsageError, match=r"let the name end in \.csv"):
        found.to_csv(tmp_path / "c.xlsx")


def test_changes_that_fit_no_line_are_saved_first() -> None:
    changed = Source("s", "s.yaml", {"description": "x" * 90})
    found = Compared(replicated("a", Source("s", "s.yaml"), p99_s=LUCK), replicated("b", changed, p99_s=LUCK))
    lines = repr(found).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[2:] == [
        "again: chatsim compare a.yaml b.yaml -n 10 --seed 5 \\",
        '    # after cs.load(a).save("a.yaml") and after cs.load(b).save("b.yaml")',
    ]
    assert "x" * 90 in found.again


def test_the_card_says_the_seed_and_how_to_see_it_again() -> None:
    changed = Source("s", "s.yaml", {"groups.g.users": 500})
    found = Compared(replicated("s", Source("s", "s.yaml"), p99_s=LUCK), replicated("s", changed, p99_s=LUCK[::-1]))
    assert found.again == "chatsim compare s.yaml s.yaml -n 10 --set groups.g.users=500 --seed 5"
    assert f"again: {found.again}" in repr(found)
    assert "10 pairs from seed 5" in found._repr_html_()
    assert f"<code>{found.again}</code>" in found._repr_html_()
    # There is no option that changes the first.
    other = Compared(found.b, found.a)
    assert other.again == 'chatsim compare a.yaml s.yaml -n 10 --seed 5  # after cs.load(a).save("a.yaml")'


def test_no_number_of_a_card_has_an_exponent() -> None:
    many = [1_234_567.0 + 1000.0 * at for at in range(10)]
    rare = [0.00001234 + 0.0000001 * at**2 for at in range(10)]
    a = replicated("a", delivered=many, loop_lag_mean_s=rare)
    more = [value + 54_321.0 + at % 3 for at, value in enumerate(many)]
    b = replicated("b", delivered=more, loop_lag_mean_s=[2 * value for value in rare])
    for shown in (repr(Compared(a, b)), Compared(a, b)._repr_html_()):
        assert "+5432" in shown
        assert not re.search(r"\de[+-]?\d", shown)


def test_the_only_group_is_told_once_and_of_several_each() -> None:
    later = [value + 0.002 + 0.0001 * (at % 3) for at, value in enumerate(LUCK)]
    names = ["p99_s", "p99_s{group=web}"]
    one = Compared(
        replicated("a", None, **dict.fromkeys(names, LUCK)), replicated("b", None, **dict.fromkeys(names, later))
    )
    assert one.told() == "1 of 1 numbers differ, 0 would by luck"
    assert one.changed_once().metric.tolist() == ["p99_s"]
    assert one.changed().metric.tolist() == names
    assert "group=web" not in repr(one) + one._repr_html_()
    names.append("p99_s{group=mobile}")
    two = Compared(
        replicated("a", None, **dict.fromkeys(names, LUCK)), replicated("b", None, **dict.fromkeys(names, later))
    )
    assert two.told().startswith("3 of 3 numbers differ")
    assert two.changed_once().metric.tolist() == names
    others = ["p99_s", "p99_s{group=web}", "p99_s{group=tv}"]
    for mine, its in ((names, others), (names[:2], others), (others, names[:2])):
        shared = Compared(
            replicated("a", None, **dict.fromkeys(mine, LUCK)), replicated("b", None, **dict.fromkeys(its, later))
        )
        # The only one that both have, and not all of whoever has another.
        assert shared.changed_once().metric.tolist() == names[:2]
    alone = Compared(replicated("a", None, **{names[1]: LUCK}), replicated("b", None, **{names[1]: later}))
    assert alone.changed_once().metric.tolist() == names[1:2]
