"""The handler's rules at work: the rate limit as a user meets it, and a message sent again until it is given up.

Decides what a rule is shown by. Rule: by what the people of the run had of it, never by what the rule says.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from chatsim.analysis.pictures import canvas
from chatsim.errors import UsageError
from chatsim.scenario.units import quantity

ROWS_MAX: Final = 40
"""So many messages get a row of their own; of more, those with the most attempts."""


QUIET: Final = 0.25
"""A picture begins with the first message where it comes after more than such a share of the time."""


def limiter(
    messages: pd.DataFrame,
    *,
    limit: int = 60,
    window_s: float = 60.0,
    sender: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """How many messages of one sender were accepted in the last `window_s`, the limit as a line, and each refused one.

    `messages` is `run.messages`; without a `sender` it is the one who was refused most. Moments are those at which she
    heard the ack, or meant to send what was refused, so that on a network that delays unevenly the count may stand one
    above the limit for an instant. Raises UsageError with the nearest name of a column or a sender.
    """
    canvas.needs(messages, ["sender", "message_id", "intended_at_s", "acked_at_s"], "the table of messages")
    canvas.number(limit, "limit", "count")
    canvas.number(window_s, "window_s")
    if not window_s > 0:
        raise UsageError(f"window_s={window_s:g}: a window is longer than 0 s, such as 60")
    if sender is not None:
        canvas.one_of(sender, dict.fromkeys(messages["sender"]), "sender")
    once = messages.drop_duplicates(["sender", "message_id", "intended_at_s"])
    with canvas.drawn_on(ax) as ax:
        if once.empty:
            canvas.nothing(ax, "no messages")
            return ax
        if sender is None:
            # The first in the alphabet of those who are equal, so that the same run is the same picture.
            counts = once.assign(refused=once["message_id"].isna()).groupby("sender")["refused"].agg(["sum", "size"])
            sender = str(counts.sort_values(["sum", "size"], ascending=False, kind="stable").index[0])
        mine = once[once["sender"] == sender]
        refused = mine["message_id"].isna()
        accepted_at = mine["acked_at_s"].where(np.isfinite(mine["acked_at_s"]), mine["intended_at_s"])[~refused]
        at, count = within(accepted_at.to_numpy(dtype=np.float64), window_s)
        every = quantity(window_s, "s")
        ax.step(
            at,
            count,
            where="post",
            color=canvas.BLUE,
            label=f"accepted in the last {every} ({(~refused).sum():,} in all)",
        )
        ax.axhline(limit, color=canvas.INK, linestyle=":", label=f"limit {limit} per {every}")
        top = max(limit, float(count.max(initial=0)))
        if refused.any():
            moments = mine.loc[refused, "intended_at_s"].to_numpy(dtype=np.float64)
            ax.plot(
                moments,
                np.full(moments.size, 1.06 * top),
                marker="|",
                linestyle="",
                color=canvas.VERMILLION,
                markersize=7,
                markeredgewidth=0.6,
                label=f"refused ({moments.size:,})",
                rasterized=moments.size > 2000,
            )
        ax.set_ylim(0.0, 1.12 * top)
        first, last = (float(mine["intended_at_s"].agg(which)) for which in ("min", "max"))
        # Who said nothing for long has nothing to show there.
        start = max(0.0, first - 0.1 * (last - first or 1.0)) if first > QUIET * last else 0.0
        ax.set_xlim(start, last + 0.02 * (last - start) or 1.0)
        ax.set_title(canvas.plain_text(sender, 60))
        ax.set(xlabel=canvas.TIME, ylabel=f"accepted (messages in the last {every})")
        canvas.below(ax)
        return ax


def within(
    at: np.ndarray[tuple[int], np.dtype[np.float64]], window_s: float
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """How many of the moments (s) lie in the last `window_s`: the moments at which that changes, from 0 on, and the
    count from each on. One that leaves at the very moment (to a microsecond) at which another comes, leaves first."""
    moments = np.round(np.concatenate([at, at + window_s]), 6)
    by = np.concatenate([np.ones(at.size, dtype=np.int64), -np.ones(at.size, dtype=np.int64)])
    order = np.lexsort((by, moments))
    return np.concatenate([[0.0], moments[order]]), np.concatenate([[0], np.cumsum(by[order])])


def retries(attempts: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Messages that were sent more than once, a row for each and its receiver: every attempt, and what became of it.

    `attempts` is `run.attempts`. Those with the most attempts are shown, at most forty. Raises UsageError with the
    nearest name of a column.
    """
    canvas.needs(
        attempts, ["message_id", "receiver", "attempt", "at_s", "settled_at_s", "outcome"], "the table of attempts"
    )
    with canvas.drawn_on(ax) as ax:
        key = attempts["message_id"].astype(str) + " " + attempts["receiver"].astype(str)
        times = key.map(key.value_counts())
        # Where none is left, a table takes over the rows of whatever is assigned whole.
        again = attempts.assign(key=key, times=times)[times > 1]
        whole = again["key"].nunique()
        if not whole:
            canvas.nothing(ax, "nothing was sent twice")
            return ax
        first = again.groupby("key", sort=False).agg(
            times=("times", "first"),
            at_s=("at_s", "min"),
            settled_at_s=("settled_at_s", "first"),
            outcome=("outcome", "first"),
        )
        first = first.sort_values(["times", "at_s"], ascending=[False, True], kind="stable").head(ROWS_MAX)
        row = {name: place for place, name in enumerate(first.index)}
        shown = again[again["key"].isin(row)]
        since = shown["at_s"].to_numpy(dtype=np.float64) - shown["key"].map(first["at_s"]).to_numpy(dtype=np.float64)
        lasted = first["settled_at_s"].to_numpy(dtype=np.float64) - first["at_s"].to_numpy(dtype=np.float64)
        end = max(float(since.max()), float(lasted[np.isfinite(lasted)].max(initial=0.0)))
        ax.hlines(
            np.arange(len(first)), 0.0, np.where(np.isfinite(lasted), lasted, end), color=canvas.PALE, linewidth=0.8
        )
        ax.plot(
            since,
            shown["key"].map(row).to_numpy(),
            marker="o",
            linestyle="",
            color=canvas.BLUE,
            markersize=3.5,
            label="sent",
        )
        for name, colour, mark, chosen in (
            ("acked", canvas.GREEN, "D", first["outcome"] == "delivered"),
            ("given up", canvas.VERMILLION, "x", ~first["outcome"].isin(["delivered", "waiting"])),
        ):
            if chosen.any():
                ax.plot(
                    lasted[chosen.to_numpy()],
                    np.flatnonzero(chosen),
                    marker=mark,
                    linestyle="",
                    color=colour,
                    markersize=4.5,
                    label=f"{name} ({chosen.sum():,})",
                )
        ax.set_xlim(-0.02 * end, 1.03 * end or 1.0)
        ax.set_ylim(len(first) - 0.4, -0.6)
        ax.set_yticks([])
        ax.grid(visible=False, axis="y")
        told = f"{whole:,}" if whole == len(first) else f"{len(first):,} of {whole:,}, most attempts first"
        ax.set(xlabel="time since it was first sent (s)", ylabel=f"messages and receivers ({told})")
        canvas.below(ax, columns=3)
        return ax
