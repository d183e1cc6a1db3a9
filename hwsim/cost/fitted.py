"""Step times by a law that somebody fitted to measurements: polynomials in prompt tokens, contexts and rows.

Prefill takes ``a + b sum(n) + c sum(n^2)`` over the prompts' new tokens n (with past p ``(p + n)^2 - p^2`` stands for
the square), decode ``a + b sum(context) + c rows``, with another set of coefficients from so many rows on; a step that
does both takes the sum.  No amounts of work are known.  Source of the form: DistServe (arXiv:2401.09670), simulator.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hwsim.cost.price import Component, StepPrice, StepShape, subticks
from hwsim.cost.tally import Totals


class Prefill(NamedTuple):
    """Seconds, per token, per squared token."""

    fixed: float
    per_token: float
    per_token_squared: float


class Decode(NamedTuple):
    """Seconds, per token of context, per row; holds from ``least_rows`` rows on."""

    fixed: float
    per_context_token: float
    per_row: float
    least_rows: int = 0


class FittedPricer:
    """The law as a pricer; ``decodes`` in order of their least rows, ``host`` seconds per step."""

    def __init__(self, prefill: Prefill, decodes: Sequence[Decode], host: float = 0.0) -> None:
        self._prefill = prefill
        self._decodes = sorted(decodes, key=lambda decode: decode.least_rows)
        self._host = subticks(host)
        self._prices: dict[StepShape, StepPrice] = {}

    def price(self, shape: StepShape, context: int) -> StepPrice:
        """The law for a shape: affine in the context everywhere."""
        found = self._prices.get(shape)
        if found is None:
            found = self._prices[shape] = self._made(shape)
        return found

    def _made(self, shape: StepShape) -> StepPrice:
        prompt = decode = 0.0
        slope = 0.0
        if shape.chunks:
            a, b, c = self._prefill
            squares = sum([(past + new) ** 2 - past**2 for new, past in shape.chunks])
            prompt = a + b * sum([new for new, _ in shape.chunks]) + c * squares
        if shape.rows:
            law = [law for law in self._decodes if law.least_rows <= shape.rows or law is self._decodes[0]][-1]
            decode, slope = law.fixed + law.per_row * shape.rows, law.per_context_token
        parts = (Component("prefill", subticks(prompt), 0), Component("decode", subticks(decode), subticks(slope)))
        return StepPrice(
            parts[0].base + parts[1].base, parts[1].slope, host=self._host, components=parts, source="fitted law"
        )

    def prices(self) -> Iterator[StepPrice]:
        """The prices at which something was executed."""
        yield from (price for price in self._prices.values() if price.steps)

    def totals(self) -> Totals:
        """Device time of all executed steps, prefill and decode apart."""
        times: dict[str, int] = {}
        for price in self.prices():
            for part in price.components:
                time = part.base * price.steps + part.slope * price.contexts
                if time:
                    times[part.bound] = times.get(part.bound, 0) + time
        return {"time_by_bound": times, "demands": {}}
