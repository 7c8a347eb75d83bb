"""Findings as CSV: a row for each, every digit of every number.

Rule: the columns are the fields of a finding, and numbers look as in every other table (`chatsim.store.document`).
"""

from __future__ import annotations

import csv
import io

from chatsim.findings.finding import FIELDS, Findings, to_dict
from chatsim.store.document import cell


def table(findings: Findings) -> str:
    """The table with its header line."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(FIELDS)
    for finding in findings.found:
        writer.writerow([cell(value) for value in to_dict(finding).values()])
    return file.getvalue()
