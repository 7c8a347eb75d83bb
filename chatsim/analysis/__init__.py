"""What analysts do with runs: tables, intervals, comparisons and pictures.

Rule: nothing here plays a run; what was played comes in as rows, and pandas and matplotlib stand nowhere else.
"""
