"""A table comes back from a file as it was, and what cannot be written is refused with the cure."""

from __future__ import annotations

import sys
from math import inf
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from chatsim.analysis.tables import check_form, with_form, write_table
from chatsim.errors import UsageError

TABLE = pd.DataFrame({"a_s": [0.1, inf], "name": ["x", "y"], "n": [1, 2]})


def test_both_forms_give_it_back(tmp_path: Path) -> None:
    csv, parquet = (write_table(TABLE, tmp_path / "deep" / f"t{form}") for form in (".csv", ".parquet"))
    pd.testing.assert_frame_equal(pd.read_csv(csv), TABLE, check_dtype=False)
    pd.testing.assert_frame_equal(pd.read_parquet(parquet), TABLE, check_dtype=False)


@pytest.mark.parametrize("name", ["t", "t.xlsx", ".csv"])
def test_another_form_is_refused_before_anything_is_played(name: str) -> None:
    with pytest.raises(UsageError, match=r"written as \.csv or \.parquet"):
        check_form(Path(name))
    with pytest.raises(UsageError, match=r"end in \.csv"):
        with_form("t.parquet", ".csv")


@pytest.mark.parametrize("path", [None, 5])
def test_what_is_no_path_is_refused(path: Any) -> None:
    with pytest.raises(UsageError, match="is no path: name a file or a folder"):
        with_form(path, ".csv")


def test_without_pyarrow_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"pip install 'chatsim\[parquet\]'"):
        write_table(TABLE, tmp_path / "t.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for form in (".csv", ".parquet"):
        with pytest.raises(UsageError, match="name another folder"):
            write_table(TABLE, tmp_path / "file" / f"t{form}")
