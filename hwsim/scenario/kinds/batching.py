"""How requests are put together into batches."""

from typing import Literal

from hwsim.scenario.schema.quantity import Count
from hwsim.scenario.schema.record import Kind


class Continuous(Kind):
    """Requests join and leave at every step."""

    kind: Literal["continuous"]


class Static(Kind):
    """A batch starts together and the next one waits until all of it has finished."""

    kind: Literal["static"]
    size: Count | None = None


PART = (Continuous, Static)
