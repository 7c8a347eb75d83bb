"""The invariants of connections: tokens, silence, revocation, draining, and what waits for a slow reader.

Decides whether each connection was let in, kept and closed as the protocol says. Rule: a bound is checked against what
the connection itself did, and never against what the handler thinks of it. Moments and durations in seconds.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from math import inf
from typing import Final, NamedTuple

from chatsim.core.codes import FLOOD, GOING_AWAY, NO_PONG, STALE, TOKEN_EXPIRED
from chatsim.core.effects import Close, Conn, Effect, Send
from chatsim.core.facts import Revoked
from chatsim.core.frames import Draining, Error, TokenExpiring
from chatsim.core.tokens import Claims
from chatsim.verdict.invariants.catalogue import Findings
from chatsim.verdict.invariants.roster import Peer, Roster

EPS_S = 1e-6
"""Sums of the same moments in another order differ by less."""

IAT_AHEAD_S_MAX: Final = 1.0
"""So far may the clock of whoever issues tokens be ahead (s): they say when they were made, and not by whose clock."""

CLOCK_EPS_S: Final = 1e-3
"""Wall times are so large that sums of them in another order may differ by less."""

_EXPIRED = ("token_expired", "frame_rate")


class _Followed(NamedTuple):
    """A revocation that was followed: when (s of the run, -inf: in an earlier life), of what, with which wall time, and
    when what it is about has ended anyway (wall time, inf: nobody knows)."""

    now: float
    jti: str | None
    user: str | None
    at: float
    end: float


class PeerRules:
    """What is watched of connections; `slack_s` is how late a node may be (s)."""

    def __init__(self, roster: Roster, findings: Findings, forged: Container[str] = frozenset()) -> None:
        """`forged` are the names (`jti`) of tokens that nobody has signed who may."""
        self._forged = forged
        self._roster = roster
        self._add = findings.add
        config = roster.config
        self._hardened = config.reliability == "hardened"
        by_sweep_s = config.stale_after_s + config.sweep_interval_s
        by_pong_s = config.ping_interval_s + config.pong_timeout_s
        self.silence_s_max = min(by_sweep_s, by_pong_s) if self._hardened else by_sweep_s
        # When the token of each name that was revoked has ended by itself (wall time, inf: that is not known).
        self._revoked_jtis: dict[str, float] = {}
        self._revoked_users: dict[str, float] = {}
        self._followed: list[_Followed] = []

    def check_limit(self, now: float, user: str) -> None:
        """After a connection of the user was opened."""
        if len(self._roster.peers) > self._roster.config.connections_max:
            self._add("bounded", now, f"{len(self._roster.peers)} connections are open.")
        count = len(self._roster.users.get(user, ()))
        if count > self._roster.config.connections_per_user:
            self._add("connection_limit", now, f"{user} has {count} connections.")

    def check_admitted(self, now: float, conn: Conn, claims: Claims, late_s: float) -> None:
        """After a connection was opened: one that is no good, or was revoked, is let in nowhere. The door was asked
        `late_s` before at most."""
        fault = self.fault_of(now, claims, late_s)
        if fault:
            self._add("good_token", now, f"{conn} of {claims.sub} came in with a token that {fault}.")
        if conn not in self._roster.peers:
            return
        if self.is_revoked(claims):
            self._add("revoked", now, f"{conn} of {claims.sub} came in with a revoked token.")

    def fault_of(self, now: float, claims: Claims, late_s: float) -> str:
        """What is wrong with a token that was taken for a good one `late_s` ago at most, by the clock of the node (""
        where nothing is)."""
        wall = self._roster.epoch + now
        if claims.jti in self._forged:
            return "is forged"
        if claims.exp <= wall - late_s - CLOCK_EPS_S:
            return f"ended {wall - claims.exp:g} s before"
        nbf = -inf if claims.nbf is None else claims.nbf
        iat = -inf if claims.iat is None else claims.iat
        early_s = max(nbf, iat - IAT_AHEAD_S_MAX) - wall
        return f"holds in {early_s:g} s" if early_s > late_s + CLOCK_EPS_S else ""

    def is_revoked(self, claims: Claims) -> bool:
        """Whether a token is good no more, by an order about it or about its user."""
        at = self._revoked_users.get(claims.sub)
        by_user = at is not None and (claims.iat is None or claims.iat < at)
        return by_user or claims.jti in self._revoked_jtis

    def told_to_revoke(self, now: float, jti: str | None, user: str | None, *, followed: bool) -> None:
        """A revocation comes in, and is followed or not, which it is if there is room to remember it. What it is about
        is still there."""
        wall = self._roster.epoch + now
        if not followed:
            # One of a token that has ended makes room for another.
            jtis = [name for name, end in self._revoked_jtis.items() if name != jti and end > wall - CLOCK_EPS_S]
            users = [name for name in self._revoked_users if name != user]
            count = len(jtis) + len(users) + (jti is not None) + (user is not None)
            if count <= self._roster.config.revocations_max:
                self._add("revoked", now, f"there is room for that of {jti or user}, and it is not followed.")
            return
        holders = [peer.exp_at for peer in self._roster.peers.values() if jti is not None and peer.jti == jti]
        end = max((self._roster.epoch + exp_at for exp_at in holders), default=inf)
        if jti is not None:
            self._revoked_jtis[jti] = max(end, self._revoked_jtis.get(jti, end))
        if user is not None:
            self._revoked_users[user] = wall
        self._followed.append(_Followed(now, jti, user, wall, end))

    def revoked(self, now: float, jti: str | None, user: str | None) -> None:
        """A revocation was followed: afterwards nobody it is about is there."""
        for peer in self._roster.peers.values():
            if peer.user == user or (jti is not None and peer.jti == jti):
                self._add("revoked", now, f"{peer.name} of {peer.user} is still connected.")
                return

    def begin(self, now: float, revoked: Sequence[Revoked], kept_until: float) -> None:
        """The node begins again, and knows of these revocations: all that were followed before `kept_until`, but for
        those of tokens that have ended. Of later ones its log alone knows."""
        wall = self._roster.epoch + now
        of_tokens = {fact.jti for fact in revoked if fact.jti is not None}
        of_users = [(fact.user, fact.at) for fact in revoked if fact.user is not None]
        self._revoked_jtis = dict.fromkeys(of_tokens, inf)
        self._revoked_users = dict(of_users)
        followed, self._followed = self._followed, []
        for one in followed:
            is_kept = (one.jti is None or one.jti in of_tokens) and (
                one.user is None or any(user == one.user and abs(at - one.at) < CLOCK_EPS_S for user, at in of_users)
            )
            if is_kept:
                self._followed.append(one._replace(now=-inf))
            elif (one.now == -inf or one.now < kept_until) and one.end > wall - CLOCK_EPS_S:
                self._add("stored_is_kept", now, f"that {one.jti or one.user} was revoked is known no more.")

    def jump(self, now: float, by_s: float) -> None:
        """The wall clock is ahead by so much more: what has ended by it now may be closed from now on, and what is to
        end later than in the time of the warning is warned of anew."""
        roster = self._roster
        roster.epoch += by_s
        for peer in roster.peers.values():
            peer.exp_at -= by_s
            peer.ends_at = max(peer.exp_at + roster.config.token_grace_s, now)
            warn_at = peer.exp_at - roster.config.token_warning_s
            if peer.warn_at < inf or now < warn_at:
                peer.warn_at = max(warn_at, now)

    def check_refusal(self, now: float, peer: Peer, effects: Sequence[Effect]) -> None:
        """One frame came in: it is refused as expired if, and only if, its token has ended."""
        if now >= peer.exp_at:
            for effect in effects:
                refused = isinstance(effect, Send) and isinstance(effect.message, Error)
                if refused and effect.message.code in _EXPIRED:  # type: ignore[union-attr]
                    continue
                if isinstance(effect, Close) and effect.code == FLOOD:
                    continue
                kind = type(effect.message).__name__ if isinstance(effect, Send) else type(effect).__name__
                self._add("expired_refused", now, f"{peer.name} got {kind} {now - peer.exp_at:g} s after its end.")
                return

    def count(self, now: float, peer: Peer, effects: Sequence[Effect]) -> bool:
        """One frame came in, which counts whatever becomes of it; says whether it is one too many."""
        config, frames = self._roster.config, peer.frames
        over = len(frames) == config.frame_limit and (not frames or frames[0] > now - config.frame_window_s)
        frames.append(now)
        for effect in effects:
            told = (
                isinstance(effect, Send) and isinstance(effect.message, Error) and effect.message.code == "frame_rate"
            )
            if over and isinstance(effect, Close) and effect.code == FLOOD:
                break  # what follows is of her going
            if over and not told:
                self._add("frame_limit", now, f"{peer.name} has sent too many, and was let through.")
                break
            if told and not over:
                self._add("frame_limit", now, f"{peer.name} was refused after fewer.")
        return over

    def early(self, now: float, peer: Peer) -> None:
        """A frame was refused as expired."""
        if now < peer.exp_at - EPS_S:
            self._add("expired_refused", now, f"{peer.name} was refused {peer.exp_at - now:g} s before its end.")

    def press(self, now: float, conn: Conn, queued_bytes: int, queued_frames: int) -> None:
        """So much waited for a connection that is still open."""
        config, peer = self._roster.config, self._roster.peers.get(conn)
        if peer is None:
            return
        if queued_bytes > config.outbound_bytes or queued_frames > config.outbound_frames:
            self._add("queue_limit", now, f"{queued_frames} frames and {queued_bytes} bytes wait for {conn}.")
        peer.pressed = 2 * queued_bytes > config.outbound_bytes or 2 * queued_frames > config.outbound_frames

    def holds(self, now: float, conn: Conn, queued_bytes: float, within_s: float) -> None:
        """So much is seen to wait for a connection, whatever the handler was told: over the limit it is closed in
        time."""
        peer = self._roster.peers.get(conn)
        if peer is None:
            return
        if queued_bytes <= self._roster.config.outbound_bytes:
            peer.over_since = inf
            return
        peer.over_since = min(peer.over_since, now)
        if now >= peer.over_since + within_s:
            self._add("queue_limit", now, f"{queued_bytes:g} bytes wait for {conn} since {peer.over_since:g} s.")

    def warned(self, now: float, to: tuple[Conn, ...], frame: TokenExpiring, slack_s: float) -> None:
        """A client is told that its token ends."""
        peer = self._roster.peers[to[0]]
        left_s = max(peer.exp_at - now, 0.0)
        if abs(frame.expires_in_s - left_s) > EPS_S:
            self._add("warning", now, f"{to[0]} is told {frame.expires_in_s:g} s, and it is {left_s:g} s.")
        if now < peer.warn_at - CLOCK_EPS_S:
            soon = "again" if peer.warn_at == inf else f"before {peer.warn_at:g} s"
            self._add("warning", now, f"{to[0]} is told {soon} that its token ends.")
        self._check_warned(now, peer, slack_s)
        peer.warn_at = inf

    def _check_warned(self, now: float, peer: Peer, slack_s: float) -> None:
        if peer.warn_at + slack_s < now < inf:
            self._add("warning", now, f"{peer.name} of {peer.user} was to be told at {peer.warn_at:g} s.")

    def close(self, now: float, effect: Close, slack_s: float) -> None:
        """The node closes a connection, which is gone from now on."""
        peer = self._roster.peers.get(effect.to)
        if peer is None:
            self._add("gone", now, f"{effect.to} is closed with {effect.code}, and is not open.")
            return
        config, silent_s, code = self._roster.config, now - peer.heard_at, effect.code
        if code == NO_PONG and (silent_s < config.pong_timeout_s - EPS_S or not self._hardened):
            self._add("closed_for_cause", now, f"{peer.name} was heard {silent_s:g} s before it was closed.")
        elif code == STALE and silent_s < config.stale_after_s - EPS_S:
            self._add("closed_for_cause", now, f"{peer.name} was heard {silent_s:g} s before its sweep.")
        elif code == TOKEN_EXPIRED and now < peer.exp_at + config.token_grace_s - EPS_S:
            self._add("closed_for_cause", now, f"the token of {peer.name} ends at {peer.exp_at:g} s.")
        elif code == GOING_AWAY and not peer.told:
            self._add("farewell", now, f"{peer.name} of {peer.user} was not told.")
        if code == TOKEN_EXPIRED:
            self._check_warned(now, peer, slack_s)
        self._roster.drop(now, peer)

    def goodbye(self, peer: Peer, message: Draining) -> None:
        """The connection is told to come back later."""
        peer.told += 1

    def sweep(self, now: float, slack_s: float) -> None:
        """Look at everybody who is connected."""
        silent_since = now - self.silence_s_max - slack_s
        for peer in self._roster.peers.values():
            if peer.heard_at < silent_since:
                self._add("detection", now, f"{peer.name} of {peer.user} is silent since {peer.heard_at:g} s.")
            if peer.ends_at + slack_s < now < inf:
                self._add("token_end", now, f"{peer.name} of {peer.user} holds a token of {peer.exp_at:g} s.")
            self._check_warned(now, peer, slack_s)
