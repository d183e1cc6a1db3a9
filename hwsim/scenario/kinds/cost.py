"""Where the time of a step comes from."""

from typing import Literal

from hwsim.scenario.schema.quantity import Count, Duration, Seconds, Text
from hwsim.scenario.schema.record import Kind, Record


class Constant(Kind):
    """Every step takes ``step`` on the device and ``host`` on the host, whatever it computes."""

    kind: Literal["constant"]
    step: Duration
    host: Seconds = 0.0


class Roofline(Kind):
    """Compute, memory and communication time of the model on the hardware, with shape-dependent efficiency."""

    kind: Literal["roofline"]
    efficiency: Text | None = None


class PrefillLaw(Record):
    """Time of the prompts in a step: ``fixed + per_token sum(n) + per_token_squared sum(n^2)``."""

    fixed: Seconds
    per_token: Seconds = 0.0
    per_token_squared: Seconds = 0.0


class DecodeLaw(Record):
    """Time of the decode rows in a step: ``fixed + per_context_token sum(context) + per_row rows``."""

    fixed: Seconds
    per_context_token: Seconds = 0.0
    per_row: Seconds = 0.0


class LargeLaw(DecodeLaw):
    """The law that holds from ``rows`` decode rows on."""

    rows: Count


class Fitted(Kind):
    """Step times by a law that was fitted to measurements; ``large`` takes over from so many decode rows on."""

    kind: Literal["fitted"]
    prefill: PrefillLaw
    decode: DecodeLaw
    large: LargeLaw | None = None
    host: Seconds = 0.0


class Table(Kind):
    """Measured kernel times of ``data`` (a table or a folder of them) where they have the shape, else the roofline."""

    kind: Literal["table"]
    data: Text
    efficiency: Text | None = None


PART = (Constant, Roofline, Fitted, Table)
