"""Which experts the tokens of a workload choose."""

from typing import Literal

from hwsim.scenario.schema.quantity import Text
from hwsim.scenario.schema.record import Kind


class Uniform(Kind):
    """Every expert is as likely."""

    kind: Literal["uniform"]


class Counts(Kind):
    """Experts are chosen as often as a file of counts per layer and expert says."""

    kind: Literal["counts"]
    file: Text


PART = (Uniform, Counts)
