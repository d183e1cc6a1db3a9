"""How often a guessed token is right."""

from typing import Literal

from hwsim.scenario.schema.quantity import Share
from hwsim.scenario.schema.record import Kind


class Rate(Kind):
    """Each guessed token is accepted with the same probability, until the first miss."""

    kind: Literal["rate"]
    value: Share


PART = (Rate,)
