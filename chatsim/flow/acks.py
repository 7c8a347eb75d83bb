"""When clients ack what they receive, for many connections at once.

Decides what `ChatClient` decides one message at a time: a message is acked at once, unless the last ack is less than
the delay ago; then one ack, the delay after the last, is for all that came until then. Rule: the same acks, at the same
moments. How they travel is left to the node.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def ack_moments(
    first: BoolArray, received_at: FloatArray, acked_at: FloatArray, delay_s: float
) -> tuple[BoolArray, FloatArray]:
    """For each message, whether it is the first of its ack, and when that ack is sent (s).

    The messages stand by connection, and within one in the order of receipt; `first` marks the first of each
    connection, `acked_at` is parallel and counts there only: when the connection acked last (-inf: never).
    """
    sent_at = received_at.copy()
    begins = np.ones(first.size, dtype=np.bool_)
    if not first.size:
        return begins, sent_at
    # Whoever has had nothing for two delays has nothing left to ack: from there on the past does not matter.
    fresh = first.copy()
    np.logical_or(fresh[1:], received_at[1:] - received_at[:-1] >= 2.0 * delay_s, out=fresh[1:])
    due_at = np.where(first, acked_at + delay_s, -np.inf)
    sent_at[fresh] = np.maximum(received_at[fresh], due_at[fresh])
    heads = np.flatnonzero(fresh)
    lengths = np.diff(heads, append=first.size)
    longest = np.argsort(-lengths, kind="stable")
    heads, lengths = heads[longest], lengths[longest]
    step = 1
    while True:
        heads = heads[: np.searchsorted(-lengths, -step)]
        if not heads.size:
            return begins, sent_at
        at = heads + step
        received, before = received_at[at], sent_at[at - 1]
        # The ack before this message is still to be sent: it is for this one too.
        shares = (received <= before) & (before > received_at[at - 1]) | (received < before)
        begins[at] = ~shares
        sent_at[at] = np.where(shares, before, np.maximum(received, before + delay_s))
        step += 1
