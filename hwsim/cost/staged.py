"""What a batch takes in each stage of a pipeline, whatever its price was made from."""

from __future__ import annotations

from hwsim.cost.price import StepPrice


class Staged(StepPrice):
    """A price made from another that has ``stages``."""

    __slots__ = ("stages",)

    def __init__(self, whole: StepPrice, stages: tuple[StepPrice, ...]) -> None:
        super().__init__(
            whole.base,
            whole.slope,
            host=whole.host,
            low=whole.low,
            limit=whole.limit,
            components=whole.components,
            demands=whole.demands,
            source=whole.source,
            window_slopes=whole.window_slopes,
        )
        self.stages = stages


def through(price: StepPrice, count: int, context: int, windowed: tuple[int, ...]) -> list[int]:
    """Subticks in each of ``count`` stages; a price that knows none is that of a whole passage, in equal parts."""
    if price.stages and not windowed:
        return [stage.base + stage.slope * context for stage in price.stages]
    if price.stages:
        return [stage.device(context, windowed) for stage in price.stages]
    each, rest = divmod(price.device(context, windowed), count)
    return [each] * (count - 1) + [each + rest]
