"""How tokens are guessed ahead of the model."""

from typing import Annotated, Literal

from hwsim.scenario.schema.model import ModelChoice
from hwsim.scenario.schema.quantity import At, Count
from hwsim.scenario.schema.record import Kind
from hwsim.scenario.schema.short import Short


class Draft(Kind):
    """A smaller model proposes ``num_speculative_tokens``, the served model verifies them in one pass."""

    kind: Literal["draft"]
    model: Annotated[ModelChoice, Short("like")]
    num_speculative_tokens: Count
    at: At | None = None


PART = (Draft,)
