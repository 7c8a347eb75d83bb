"""A scenario: who comes, what they send over which network to which handler, what happens, and what is promised.

Decides the vocabulary of scenario files as typed, frozen models. Rule: a model is made by `Scenario.of`, which finds
every fault of a mapping at once, contradictions included; attributes are floats in seconds, shares and bits per
second, never text. Files, lines and columns are `load`'s affair; what is played is decided by the wires.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

from pydantic import (
    BeforeValidator,
    Field,
    PlainValidator,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)

from chatsim.core.config import HandlerConfig
from chatsim.errors import UsageError
from chatsim.scenario import faults as f
from chatsim.scenario import reading, units
from chatsim.scenario.changes import changed, place_of, remembered
from chatsim.scenario.contradictions import contradictions
from chatsim.scenario.costs import Costs, default, read_costs
from chatsim.scenario.distributions import Constant, Distribution
from chatsim.scenario.events import EVENTS, AnyEvent
from chatsim.scenario.expectations import PATTERN, Expectation, parse_expectation
from chatsim.scenario.handler import handler_config
from chatsim.scenario.overrides import merged
from chatsim.scenario.refusals import refusals
from chatsim.scenario.scaling import scaled_words
from chatsim.scenario.words import (
    DURATION_SCHEMA,
    RATE_SCHEMA,
    Bandwidth,
    Count,
    Duration,
    DurationDistribution,
    PositiveDuration,
    Rate,
    Seed,
    Share,
    SizeDistribution,
    Switch,
    Tags,
    Text,
    Texts,
    Words,
    folder_of,
    word,
)
from chatsim.scenario.yaml import yaml_text

Credentials: TypeAlias = Literal["good", "missing", "forged", "expired", "alg_none", "revoked"]


NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"
ScenarioName: TypeAlias = Annotated[
    Text, Field(pattern=NAME_PATTERN), WithJsonSchema({"type": "string", "pattern": NAME_PATTERN})
]
GroupName: TypeAlias = ScenarioName


class Poisson(Words):
    """Messages of each user at random, independent moments, `rate_per_s` of them."""

    arrivals: Literal["poisson"]
    rate_per_s: Rate


class Periodic(Words):
    """Messages of each user at a fixed distance, 1 / `rate_per_s`, from a phase of its own."""

    arrivals: Literal["periodic"]
    rate_per_s: Rate


class Closed(Words):
    """Each user sends, waits for the ack, thinks, and sends again."""

    arrivals: Literal["closed"]
    think: DurationDistribution


def _read_trace(value: object, info: ValidationInfo) -> tuple[float, ...]:
    try:
        return tuple(sorted(reading.read_numbers(value, units.duration, folder_of(info))))
    except f.FaultsError as faults:
        raise f.FaultsError(((), text) for _, text in faults.found) from None


class Trace(Words):
    """Recorded moments of sending, in seconds since the start, sorted; the group's users take them in turn."""

    arrivals: Literal["trace"]
    moments_s: Annotated[
        tuple[float, ...], PlainValidator(_read_trace), WithJsonSchema({"type": "string", "minLength": 1})
    ] = Field(alias="file")


def _read_profile(value: object) -> tuple[tuple[float, float], ...]:
    """Points of a rate profile: moments in seconds, strictly rising, and rates per second from each on."""
    example = "[[0s, 2/min], [1min, 0], [2min, 10/min]]"
    if not isinstance(value, list) or not value:
        raise ValueError(f"profile takes a list of moments and rates, like {example}")
    points: list[tuple[float, float]] = []
    found: list[f.Fault] = []
    for index, item in enumerate(value):
        if not isinstance(item, list) or len(item) != 2:
            found.append(((index,), f"each point is a moment and a rate, like {example}"))
            continue
        read: list[float] = []
        for quantity, given in zip((units.duration, units.rate), item, strict=True):
            try:
                read.append(quantity(given))
            except ValueError as error:
                found.append(((index,), str(error)))
        if len(read) < 2:
            continue
        point = (read[0], read[1])
        if points and point[0] <= points[-1][0]:
            found.append(((index,), f"{item[0]!s} does not come after the point before it: put the moments in order"))
        points.append(point)
    if not found and not any(rate for _, rate in points):
        found.append(((), "all rates are 0: leave messages out for silence"))
    if found:
        raise f.FaultsError(found)
    return tuple(points)


class Profile(Words):
    """Poisson messages of each user at a rate that changes in steps: a point's rate holds until the next point."""

    arrivals: Literal["profile"]
    profile: Annotated[
        tuple[tuple[float, float], ...],
        PlainValidator(_read_profile),
        WithJsonSchema(
            {"type": "array", "minItems": 1, "items": {"type": "array", "prefixItems": [DURATION_SCHEMA, RATE_SCHEMA]}}
        ),
    ]


Messages: TypeAlias = Poisson | Periodic | Closed | Trace | Profile
MESSAGES: Final[dict[str, type[Words]]] = {
    get_args(kind.model_fields["arrivals"].annotation)[0]: kind for kind in get_args(Messages)
}


TAGGED: Final[dict[str, Mapping[str, type[Words]]]] = {"events": EVENTS, "messages": MESSAGES}
"""The keys under which a word says which kind of thing stands there, with the kinds by that word."""


def _fold_arrivals(value: object) -> object:
    """`{arrivals: {closed: {think: 5s}}}` is `{arrivals: closed, think: 5s}`, written closer together."""
    if not isinstance(value, Mapping) or not isinstance(value.get("arrivals"), Mapping):
        return value
    arrivals = value["arrivals"]
    if len(arrivals) != 1:
        raise f.FaultsError([(("arrivals",), f"names {len(arrivals)} kinds; write one of {', '.join(MESSAGES)}")])
    ((kind, inner),) = arrivals.items()
    rest = {key: item for key, item in value.items() if key != "arrivals"}
    inside = dict(inner) if isinstance(inner, Mapping) else {"profile": inner}
    return {**rest, **inside, "arrivals": kind}


class Network(Words):
    """The way between a user and the node: one-way latency drawn per frame and direction, loss as delay, order kept."""

    latency: DurationDistribution = Constant(value=0.0)
    loss: Share = 0.0
    bandwidth_bits_per_s: Bandwidth | None = None


class Log(Words):
    """The log's time from an append to its answer; `store` sqlite commits what comes meanwhile together, memory keeps
    nothing (left out: whatever the wire's own way is)."""

    store: Literal["memory", "sqlite"] | None = None
    latency: DurationDistribution = Constant(value=0.0)


class Group(Words):
    """People who behave alike."""

    name: GroupName
    users: Count
    connections_per_user: Count = 1
    session_size: Count = 1
    arrive_over_s: Duration = 0.0
    messages: Annotated[Messages, Field(discriminator="arrivals"), BeforeValidator(_fold_arrivals)] | None = None
    body_bytes: SizeDistribution = Constant(value=120.0)
    typing: Switch = False
    presence: Switch = False
    network: Network = Field(default_factory=Network)
    heartbeat_s: PositiveDuration | None = None
    token_ttl_s: PositiveDuration = 3600.0
    credentials: Credentials = "good"
    reconnect: Switch = True
    acks: Switch = True
    ack_each: Switch = False


def _one_node(value: object) -> int:
    if value != 1 or isinstance(value, bool):
        raise ValueError(
            f"{value!s} nodes cannot be run: a scenario has one node so far, so write nodes: 1 or leave it out"
        )
    return 1


def _costs(value: object, info: ValidationInfo) -> Costs:
    return read_costs(value, folder_of(info))


def _handler(value: object) -> HandlerConfig:
    if not isinstance(value, Mapping):
        raise ValueError("should be a mapping of settings, like {ping_interval: 30s}")
    return handler_config(value)


class Scenario(Words):
    """One scenario, as its file says it; `with_live_overrides` and `scaled` give the one to be played."""

    name: ScenarioName
    description: Text = ""
    requirements: Texts = ()
    tags: Tags = ()
    seed: Seed = 1
    ties: Seed | None = None
    duration_s: PositiveDuration
    warmup_s: Duration = 0.0
    tls: Switch = False
    handler: Annotated[HandlerConfig, PlainValidator(_handler), WithJsonSchema({"type": "object"})] = HandlerConfig()
    nodes: Annotated[int, BeforeValidator(_one_node), WithJsonSchema({"const": 1})] = 1
    log: Log = Field(default_factory=Log)
    costs: Annotated[Costs, PlainValidator(_costs), WithJsonSchema({"type": "object"})] = Field(default_factory=default)
    groups: Annotated[tuple[Group, ...], Field(min_length=1)]
    events: tuple[AnyEvent, ...] = ()
    expect: Annotated[
        tuple[
            Annotated[
                Expectation,
                PlainValidator(parse_expectation),
                WithJsonSchema({"type": "string", "pattern": PATTERN}),
            ],
            ...,
        ],
        Field(min_length=1),
    ]
    live: dict[str, Any] = Field(default_factory=dict)

    _path: Path | None = PrivateAttr(default=None)
    _seen_from: Path | None = PrivateAttr(default=None)
    _folder: Path | None = PrivateAttr(default=None)
    _source: dict[str, Any] = PrivateAttr(default_factory=dict)
    _lines: dict[f.Path, int] = PrivateAttr(default_factory=dict)
    _read: dict[str, Any] = PrivateAttr(default_factory=dict)
    _changes: dict[str, Any] | None = PrivateAttr(default_factory=dict)
    _time_scale: float = PrivateAttr(default=1.0)
    _played_scale: float = PrivateAttr(default=1.0)

    @classmethod
    def of(
        cls,
        mapping: Mapping[str, Any],
        *,
        folder: Path | None = None,
        path: Path | None = None,
        seen_from: Path | None = None,
        lines: Mapping[f.Path, int] | None = None,
    ) -> "Scenario":
        """The scenario of a mapping in the words of a scenario file, `live:` tried out as well.

        `folder` is where its files are looked for, `lines` the line of each path, `seen_from` the working directory
        where `path` is relative. Raises FaultsError with every fault.
        """
        made, found = cls._checked(mapping, folder)
        found += _live_faults(mapping, folder, found)
        if made is None or found:
            raise f.FaultsError(found)
        made._path, made._folder, made._source, made._lines = path, folder, dict(mapping), dict(lines or {})
        made._seen_from = seen_from
        made._read = made._source
        return made._with_expectation_lines()

    @classmethod
    def _checked(cls, mapping: Mapping[str, Any], folder: Path | None) -> tuple["Scenario | None", list[f.Fault]]:
        """The model, where the mapping allows one, and all that is wrong with it."""
        try:
            made, found = cls.model_validate(mapping, context={"folder": folder}), []
        except ValidationError as error:
            made, found = None, refusals(error, mapping, cls, TAGGED, {"folder": folder})
        return made, found + contradictions(mapping)

    @property
    def path(self) -> Path | None:
        """The file that this was read from."""
        return self._path

    @property
    def folder(self) -> Path | None:
        """Where files that it names are looked for (None: in the working directory)."""
        return self._folder

    @property
    def seen_from(self) -> Path | None:
        """The working directory in which `path` was read, where it is relative."""
        return self._seen_from

    @property
    def words(self) -> dict[str, Any]:
        """What a file would say to make this scenario, its seed included; files that it names are named as there."""
        return {**self._source, "seed": self.seed}

    @property
    def changes(self) -> Mapping[str, Any] | None:
        """What `with_` changed since it was read, but for the seed; None where no words of `with_` lead here."""
        return self._changes

    def save(self, path: Path | str) -> Path:
        """Write it as a scenario file, which is loaded as the same scenario; returns the path.

        Raises UsageError where it cannot be written, or where the files that it names are not the same seen from there.
        """
        assert self._played_scale == 1.0, "a scenario is saved before it is scaled"
        place: object = path
        if not isinstance(place, str | Path):
            raise UsageError(f"{path!r} is no file: name one")
        target = Path(path)
        try:
            same = _played(type(self).of(self.words, folder=target.parent)) == _played(self)
        except f.FaultsError:
            same = False
        if not same:
            raise UsageError(
                f"the files that {self.name} names are not the same seen from {target}: save it beside them"
            )
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(yaml_text(self.words), encoding="utf-8")
        except OSError as problem:
            raise UsageError(f"cannot write {target} ({problem.strerror}): name another file") from problem
        return target

    @property
    def spent(self) -> Costs:
        """What its node spends on each kind of work: tokens of the algorithm that the handler pins, over TLS if so."""
        costs = self.costs.verifying(self.handler.algorithms)
        return costs.over_tls() if self.tls else costs

    @property
    def time_scale(self) -> float:
        """The time scale that `live:` asks for (1 before `with_live_overrides`); `scaled` applies it."""
        return self._time_scale

    @property
    def played_scale(self) -> float:
        """The time scale that was applied to this scenario's durations; backoffs of clients take it too."""
        return self._played_scale

    def line_of(self, path: f.Path) -> int:
        """The line of `("groups", 0, "users")`, or of the nearest thing above it; 0 where there is no file."""
        for length in range(len(path), -1, -1):
            if path[:length] in self._lines:
                return self._lines[path[:length]]
        return 0

    def group(self, name: str) -> Group:
        """The group of that name, which must exist."""
        return next(group for group in self.groups if group.name == name)

    @property
    def is_vacuous(self) -> bool:
        """Whether all that it promises would hold though nothing had happened, so that alone it shows nothing."""
        return all(each.holds_of_nothing for each in self.expect)

    def with_live_overrides(self) -> "Scenario":
        """The scenario for wall-clock runs: `live:` merged in deeply; its `time_scale` is kept, and not yet applied."""
        if not self.live:
            return self
        made, found = self._checked(merged(self._source), self._folder)
        assert made is not None, f"the overrides were tried out when the scenario was made: {found}"
        made._path, made._folder, made._lines = self._path, self._folder, self._lines
        made._seen_from = self._seen_from
        made._source = merged(self._source)
        # A run of the file would merge them only where it is live.
        made._changes = None
        made._time_scale = float(self.live.get("time_scale", 1.0))
        overridden = ("live", "expect") if "expect" in self.live else ("expect",)
        return made._with_expectation_lines(overridden).with_seed(self.seed if "seed" not in self.live else made.seed)

    def scaled(self, time_scale: float | None = None) -> "Scenario":
        """The scenario played at `time_scale` (default: the one that `live:` asked for): 0.1 is ten times faster.

        Durations are multiplied, rates divided, and so are the limits on the handler's own durations; network, costs,
        the log and other limits stay. May be applied once.
        """
        scale = self._time_scale if time_scale is None else time_scale
        assert scale > 0, "a time scale is more than 0"
        if scale == 1.0:
            return self
        assert self._played_scale == 1.0, "a scenario is scaled once"
        changes = scaled_words(self, scale)
        changes["handler"] = self.handler.scaled(scale)
        changes["groups"] = tuple(_scaled_group(group, scale) for group in self.groups)
        changes["events"] = tuple(event.model_copy(update=scaled_words(event, scale)) for event in self.events)
        changes["expect"] = tuple(expectation.scaled(scale) for expectation in self.expect)
        made = self.model_copy(update=changes)
        made._played_scale = scale
        return made

    def with_seed(self, seed: int) -> "Scenario":
        """The same scenario from another seed. Raises UsageError for what is none."""
        if type(seed) is not int or not 0 <= seed < 2**63:
            raise UsageError(f"seed={seed!r}: a seed is a whole number from 0 to {2**63 - 1}")
        return self.model_copy(update={"seed": seed})

    def place_of(self, path: str) -> tuple[Any, ...]:
        """Where a path of `with_` leads, whatever it is called there. Raises UsageError where it leads nowhere."""
        return place_of(self._source, path, words=_words_of(type(self)), group_words=_words_of(Group))

    def with_(self, changes: Mapping[str, Any] | None = None, **words: Any) -> "Scenario":
        """The same scenario with other words: `with_(duration="5min")`, `with_({"groups.mobile.users": 500})`.

        A value is what a file would say. Raises UsageError where a path leads nowhere, FaultsError for a value that
        cannot be.
        """
        assert self._played_scale == 1.0, "a scenario is changed before it is scaled"
        given: object = changes
        if given is not None and not isinstance(given, Mapping):
            raise UsageError(f'{changes!r} does not map paths to values: write {{"handler.rate_limit": "30/min"}}')
        all_changes = {**(changes or {}), **words}
        scenario_words, group_words = _words_of(type(self)), _words_of(Group)
        source = changed(self._source, all_changes, words=scenario_words, group_words=group_words)
        made = type(self).of(source, folder=self._folder, path=self._path, seen_from=self._seen_from, lines=self._lines)
        made._time_scale = self._time_scale
        made._read, made._changes = self._read, None
        if self._changes is not None:
            unseeded = {path: value for path, value in all_changes.items() if path != "seed"}
            made._changes = remembered(
                self._read, self._changes, unseeded, words=scenario_words, group_words=group_words
            )
        return made if "seed" in all_changes else made.with_seed(self.seed)

    def _with_expectation_lines(self, at: f.Path = ("expect",)) -> "Scenario":
        """The scenario whose expectations know their lines; they stand at this path."""
        placed = tuple(
            Expectation(**{**_fields(expectation), "line": self.line_of((*at, index))})
            for index, expectation in enumerate(self.expect)
        )
        return self.model_copy(update={"expect": placed})


def _played(scenario: Scenario) -> str:
    """All that is played of a scenario, wherever its words stand."""
    both = (scenario, scenario.with_live_overrides())
    return repr([each.model_copy(update={"expect": tuple(map(_unplaced, each.expect))}) for each in both])


def _unplaced(expectation: Expectation) -> Expectation:
    """It, wherever it stands."""
    return Expectation(**{**_fields(expectation), "line": 0})


def _words_of(model: type[Words]) -> list[str]:
    """The words of a model, as files say them."""
    return [word(name) for name in model.model_fields]


def _fields(expectation: Expectation) -> dict[str, Any]:
    return {name: getattr(expectation, name) for name in expectation.__struct_fields__}


def _scaled_group(group: Group, scale: float) -> Group:
    """A group whose durations and rates follow the scale; its network does not."""
    changes = scaled_words(group, scale)
    if group.messages is not None:
        changes["messages"] = group.messages.model_copy(update=scaled_words(group.messages, scale))
    return group.model_copy(update=changes)


def _live_faults(mapping: Mapping[str, Any], folder: Path | None, known: list[f.Fault]) -> list[f.Fault]:
    """What is wrong with the overrides themselves, or with the scenario once they are merged in."""
    live = mapping.get("live")
    if not isinstance(live, Mapping) or not live:
        return []
    found: list[f.Fault] = []
    scale = live.get("time_scale", 1)
    if isinstance(scale, bool) or not isinstance(scale, (int, float)) or not 0.001 <= scale <= 1000:
        found.append(
            (("live", "time_scale"), f"{scale!s} is no time scale: write a number like 0.1 for ten times faster")
        )
    for key in ("name", "live"):
        if key in live:
            found.append((("live", key), f"{key} cannot be overridden: leave it out"))
    # The rest is tried out without what is refused here, so that this hides nothing.
    rest = {key: value for key, value in live.items() if key not in ("name", "live")}
    if isinstance(live.get("groups"), list):
        rest["groups"], unknown = _overridden_groups(live["groups"], mapping.get("groups"))
        found += unknown
    _, after = Scenario._checked(merged({**mapping, "live": rest}), folder)
    return found + [(("live", *path), text) for path, text in after if (path, text) not in known]


def _overridden_groups(overrides: list[Any], groups: object) -> tuple[list[Any], list[f.Fault]]:
    """The overrides under the names of groups that there are, a misspelt one under that which is probably meant, and
    what is wrong with their names."""
    listed = groups if isinstance(groups, list) else []
    names = [group.get("name") for group in listed if isinstance(group, Mapping)]
    said = [group.get("name") for group in overrides if isinstance(group, Mapping)]
    kept: list[Any] = []
    found: list[f.Fault] = []
    for index, group in enumerate(overrides):
        name = group.get("name") if isinstance(group, Mapping) else group
        if isinstance(group, Mapping) and name in names:
            kept.append(group)
            continue
        known = [str(known) for known in names]
        hint = f.did_you_mean(name, known)
        found.append((("live", "groups", index), f"overrides the group {name!s}, which there is not{hint}"))
        meant = [word for word in f.near(name, known) if word not in said]
        if meant and isinstance(group, Mapping):
            kept.append({**group, "name": meant[0]})
    return kept, found


__all__ = [
    "Scenario", "Group", "Network", "Log", "Credentials",
    "Messages", "Poisson", "Periodic", "Closed", "Trace", "Profile",
    "Costs", "Distribution", "HandlerConfig", "Expectation",
]  # fmt: skip
