"""What of a conversation stands in the next prompt."""

from __future__ import annotations

from typing import Literal

from hwsim.scenario.schema.quantity import Tokens
from hwsim.scenario.schema.record import Kind


class Keep(Kind):
    """The whole conversation."""

    kind: Literal["keep"]


class Window(Kind):
    """The last ``tokens`` of it."""

    kind: Literal["window"]
    tokens: Tokens


class State(Kind):
    """A state of ``tokens`` that is written anew each time."""

    kind: Literal["state"]
    tokens: Tokens


class Retrieve(Kind):
    """Passages of ``tokens`` in all that are looked up."""

    kind: Literal["retrieve"]
    tokens: Tokens


PART = (Keep, Window, State, Retrieve)
