"""A table as a file: CSV, or Parquet where pyarrow is installed.

Rule: what cannot be written is refused with the cure, and the suffix decides the form.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pandas as pd

from chatsim.errors import UsageError

FORMS: Final = (".csv", ".parquet")


def check_form(path: Path) -> None:
    """Raise UsageError, before anything is played, where a table could not be written under this name."""
    if path.suffix not in FORMS:
        raise UsageError(f"{path}: a table is written as .csv or .parquet, so let the name end in one of them")
    if path.suffix == ".parquet" and find_spec("pyarrow") is None:
        raise UsageError("Parquet wants pyarrow: pip install 'chatsim[parquet]'")


def named(path: str | Path) -> str | Path:
    """The path, which must be one. Raises UsageError."""
    given: object = path
    if not isinstance(given, str | Path):
        raise UsageError(f"{path!r} is no path: name a file or a folder")
    return path


def with_form(path: str | Path, form: str) -> Path:
    """The path, which must end in that form. Raises UsageError."""
    if Path(named(path)).suffix != form:
        raise UsageError(f"{path}: let the name end in {form}")
    return Path(path)


def write_table(frame: pd.DataFrame, path: str | Path) -> Path:
    """Write it without its index, folders made on the way; returns the path. Raises UsageError."""
    target = Path(path)
    check_form(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == ".csv":
            frame.to_csv(target, index=False)
        else:
            pd.DataFrame(frame).to_parquet(target, index=False, engine="pyarrow")
    except OSError as problem:
        why = problem.strerror or str(problem)
        raise UsageError(f"cannot write {target} ({why}): name another folder") from problem
    return target
