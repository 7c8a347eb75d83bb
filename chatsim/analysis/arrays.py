"""What every statistic takes: one float64 number after another, each of them a number.

Decides what is refused at the door. Rule: infinity (a message that never came) is a value like any other and is never
dropped; nan (no sample at all) and minus infinity are no values, and are refused with the place where they stand.
What the numbers mean is left to who asks.
"""

from __future__ import annotations

from numbers import Real

import numpy as np
import numpy.typing as npt

from chatsim.errors import UsageError

FloatArray = npt.NDArray[np.float64]


def numbers(values: npt.ArrayLike, what: str = "values") -> FloatArray:
    """The values as float64 of shape (n,), checked; `what` names them in an error.

    Raises UsageError where they are not one row of numbers, or where one of them is nan or minus infinity.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(f"The {what} are not all numbers ({error}): give one row of numbers.") from error
    if array.ndim != 1:
        raise UsageError(f"The {what} have the shape {array.shape}: give one row of numbers, shape (n,).")
    wrong = np.flatnonzero(np.isnan(array) | (array == -np.inf))
    if wrong.size:
        first = int(wrong[0])
        raise UsageError(
            f"Number {first} of the {what} (counted from 0) is {array[first]}: leave out what has no sample, "
            "or make it long enough to have one."
        )
    return array


def finite(values: npt.ArrayLike, what: str = "values") -> FloatArray:
    """The same where infinity has no meaning either. Raises UsageError."""
    array = numbers(values, what)
    wrong = np.flatnonzero(np.isinf(array))
    if wrong.size:
        raise UsageError(
            f"{wrong.size} of the {array.size} {what} are infinite, number {int(wrong[0])} (counted from 0) the first: "
            "use a metric that is finite, such as a share or a count."
        )
    return array


def between(value: float, low: float, high: float, what: str) -> float:
    """The value, which must lie strictly between the two. Raises UsageError."""
    given: object = value
    if not isinstance(given, Real) or not low < value < high:
        raise UsageError(f"{what} is {value}: give a number between {low:g} and {high:g}.")
    return float(value)
