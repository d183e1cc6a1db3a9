"""``workload:``, what arrives: a request trace, or arrivals and lengths that are drawn."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from hwsim.scenario.schema.quantity import (
    At,
    Correlation,
    Count,
    Count0,
    Duration,
    Integer,
    Name,
    Number,
    Positive,
    Rate,
    Seconds,
    Share,
    Text,
    Tokens,
)
from hwsim.scenario.schema.record import Kind, Record
from hwsim.scenario.schema.short import Choice, Short

Lengths = Annotated[Kind, Choice("lengths", "hwsim.workload.lengths"), Short("kind", number=("constant", "value"))]


class Prefix(Record):
    """A ``share`` of the requests starts with the text of one of ``groups``: its first ``tokens``, or a ``portion``
    of each prompt (in blocks of ``block`` tokens), as in conversations that grow.
    """

    share: Share
    tokens: Tokens | None = None
    portion: Share | None = None
    groups: Count = 1
    block: Tokens | None = None

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.tokens is None) == (self.portion is None):
            raise PydanticCustomError("value", "needs one length; expected tokens: 512, or portion: 50 %")
        if self.block is not None and self.portion is None:
            raise PydanticCustomError("value", "block goes with portion; tokens are one block")
        return self


class Memories(Record):
    """Each request of a ``share`` begins with one of ``count`` texts of ``tokens``, whose popularity falls as a power
    ``skew`` of the rank, before its own ``input_tokens``.  ``inject: kv``: their KV was computed before and lies at the
    tier ``at`` (``gpu``, or one of ``place.kv``; left out: the first below the GPU) when the run begins.
    """

    count: Count
    tokens: Lengths
    skew: Number = 1.0
    share: Share = 1.0
    inject: Literal["kv", "text"] = "kv"
    at: At | None = None
    block: Tokens | None = None


class Clients(Record):
    """Many clients with arrivals and lengths of their own, together at ``rate``: those of a ``preset`` fitted to a
    production service, or ``count`` alike but for their rates, which fall as a power ``skew`` of their rank.
    """

    rate: Rate
    preset: Text | None = None
    count: Count | None = None
    skew: Number = 1.0
    cv: Positive = 1.0

    @model_validator(mode="after")
    def _who(self) -> Self:
        if self.preset is None and self.count is None:
            raise PydanticCustomError("value", "says not who; expected preset: NAME, or count: N")
        if self.preset is not None and self.model_fields_set & {"skew", "cv"}:
            raise PydanticCustomError("value", "a preset has its own rates and burstiness; expected no skew and no cv")
        if self.cv > 32 or (self.count or 1) > 10_000:
            raise PydanticCustomError("value", "is too much; expected a cv of at most 32 and at most 10,000 clients")
        return self


class Sparsity(Record):
    """Which share of the neurons a token needs, and how many of those the token before it needed too."""

    active: Share
    reuse: Share | None = None
    predicted: Share | None = None  # named by a predictor, false positives included
    new: Share | None = None  # needed, and not among those of the last tokens
    window: Share | None = None  # needed by any of the last tokens


class Adapters(Record):
    """Each request needs one of ``count`` adapters, whose popularity falls as a power ``skew`` of its rank."""

    count: Count
    skew: Number = 1.0


class Pause(Record):
    """A time with a mean and, if it varies, the coefficient of variation of a gamma distribution."""

    mean: Seconds
    cv: Number = 0.0


class Tools(Record):
    """Tools that a model calls within a turn: ``calls`` of them one after the other, each asked for with a short
    answer (``output_tokens``); it takes ``time`` and gives ``tokens`` of result, which the model reads next.
    """

    calls: Lengths
    tokens: Lengths
    output_tokens: Lengths
    time: Annotated[Pause, Short("mean")] | None = None


class Sessions(Record):
    """Conversations of several ``turns``: ``think`` after an answer comes the next; ``branches`` are sent side by side
    and all answered before it.  ``context`` says what of the conversation stands in the next prompt, after the
    ``system_tokens`` that all sessions share; text is named in blocks of ``block`` tokens.
    """

    count: Count
    turns: Lengths | None = None
    think: Annotated[Pause, Short("mean")] | None = None
    tools: Tools | None = None
    branches: Lengths | None = None
    context: Annotated[Kind, Choice("context", "hwsim.workload.context"), Short("kind")] | None = None
    system_tokens: Tokens | None = None
    block: Tokens | None = None


class Stream(Record):
    """One stream of requests; a trace gives arrivals and lengths, otherwise both are drawn from their kinds."""

    trace: Text | None = None
    format: Text | None = None
    rate_scale: Positive | None = None
    from_: Seconds | None = Field(None, alias="from")
    until: Seconds | None = None
    first: Count | None = None
    skip: Count0 | None = None
    requests: Count | None = None
    duration: Duration | None = None
    arrivals: Annotated[Kind, Choice("arrivals", "hwsim.workload.arrivals"), Short("kind")] | None = None
    clients: Clients | None = None
    input_tokens: Lengths | None = None
    output_tokens: Lengths | None = None
    correlation: Correlation | None = None
    max_tokens: Tokens | None = None
    priority: Integer | None = None
    prefix: Prefix | None = None
    memories: Memories | None = None
    sessions: Sessions | None = None
    adapters: Adapters | None = None
    reasoning_tokens: Lengths | None = None
    sparsity: Sparsity | None = None
    routing: Annotated[Kind, Choice("routing", "hwsim.workload.routing"), Short("kind")] | None = None
    acceptance: (
        Annotated[Kind, Choice("acceptance", "hwsim.workload.acceptance"), Short("kind", number=("rate", "value"))]
        | None
    ) = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        problems = []
        if self.until is not None and self.from_ is not None and self.until <= self.from_:
            problems.append("until is not after from; expected a slice of the trace with time in it")
        if self.trace is not None:
            problems += self._beside_a_trace()
        elif not getattr(self, "streams", None):
            only = [name for name in ("format", "from_", "until", "first", "skip") if getattr(self, name) is not None]
            if only:
                name = only[0].rstrip("_")
                problems.append(f"{name} is for a trace, but there is none; expected trace: NAME or FILE")
            if self.arrivals is not None and self.arrivals.kind == "trace":
                problems.append("arrivals are those of a trace, but there is none; expected trace: NAME or FILE")
        if self.sessions is not None:
            others = ("trace", "clients", "prefix", "memories", "requests", "duration")
            both = [name for name in others if getattr(self, name)]
            problems += [
                f"{name} stands beside sessions, which say it themselves; expected one of them" for name in both
            ]
        if self.memories is not None:
            both = [name for name in ("clients", "prefix") if getattr(self, name)]
            problems += [f"{name} stands beside memories; expected one of them" for name in both]
            if self.memories.inject == "text" and self.memories.at is not None:
                problems.append("memories that are text lie nowhere; expected inject: kv, or no at")
        if self.clients is not None and self.arrivals is not None:
            problems.append("clients have arrivals of their own; expected no arrivals beside them")
        if problems:
            raise PydanticCustomError("value", "{text}", {"text": "; ".join(problems)})
        return self

    def _beside_a_trace(self) -> list[str]:
        """What a trace says itself must not be said again."""
        own = [
            name
            for name in ("input_tokens", "output_tokens", "correlation", "clients", "prefix", "memories")
            if getattr(self, name) is not None
        ]
        problems = [f"{name} stands beside a trace, which has its own; expected one of them" for name in own]
        if self.duration is not None:
            problems.append("duration is for drawn arrivals; expected until or first for a slice of a trace")
        return problems


class Workload(Stream):
    """What arrives: one stream inline or several by name, merged in time order."""

    streams: dict[Name, Stream] | None = None

    def members(self) -> dict[str, Stream]:
        """The streams by name, each with the fields beside them as defaults; a single one is called ``workload``."""
        if self.streams is None:
            return {"workload": self}
        return {name: stream.under(self) for name, stream in self.streams.items()}
