"""How long prompts and answers are."""

from typing import Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from hwsim.scenario.schema.quantity import Numbers, Positive, Shares, Text, Tokens
from hwsim.scenario.schema.record import Kind


class Constant(Kind):
    """Every request has the same length."""

    kind: Literal["constant"]
    value: Tokens


class Lognormal(Kind):
    """A lognormal length from two of ``mean``, ``median``, ``p99`` and ``sigma``, cut to ``min``..``max``."""

    kind: Literal["lognormal"]
    mean: Positive | None = None
    p99: Positive | None = None
    median: Positive | None = None
    sigma: Positive | None = None
    min: Tokens | None = None
    max: Tokens | None = None

    @model_validator(mode="after")
    def _two_of_four(self) -> Self:
        given = [name for name in ("mean", "median", "p99", "sigma") if getattr(self, name) is not None]
        if len(given) != 2:
            got = ", ".join(given) or "none"
            what = "needs two figures, got {got}; expected two of mean, median, p99 and sigma"
            raise PydanticCustomError("value", what, {"got": got})
        return self


class Uniform(Kind):
    """Every whole length from ``min`` to ``max`` is as likely."""

    kind: Literal["uniform"]
    min: Tokens
    max: Tokens


class Empirical(Kind):
    """Lengths from values (with weights), quantiles (evenly spaced, or at ``probabilities``) or a file of values."""

    kind: Literal["empirical"]
    values: Numbers | None = None
    weights: Numbers | None = None
    quantiles: Numbers | None = None
    probabilities: Shares | None = None
    file: Text | None = None
    column: Text | None = None


class Preset(Kind):
    """Lengths fitted to the published statistics of a real trace, by name."""

    kind: Literal["preset"]
    name: Text


PART = (Constant, Lognormal, Uniform, Empirical, Preset)
