"""Where the time of a step comes from."""

from typing import Literal

from hwsim.scenario.schema.quantity import Duration, Seconds, Text
from hwsim.scenario.schema.record import Kind


class Constant(Kind):
    """Every step takes ``step`` on the device and ``host`` on the host, whatever it computes."""

    kind: Literal["constant"]
    step: Duration
    host: Seconds = 0.0


class Roofline(Kind):
    """Compute, memory and communication time of the model on the hardware, with shape-dependent efficiency."""

    kind: Literal["roofline"]
    efficiency: Text | None = None


PART = (Constant, Roofline)
