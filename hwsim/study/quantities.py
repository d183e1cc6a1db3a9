"""What claims and searches may name: metrics of a run, facts of model, shard, GPU and KV pool, times of single steps.

Metrics come in the unit that summaries print (ms, tokens/s); facts in base units (bytes, FLOP, bytes/s); step times in
ms.  Only what is asked for is computed: facts need no run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hwsim.errors import ScenarioError, nearest
from hwsim.metrics import registry

if TYPE_CHECKING:
    from hwsim.scenario.load import Scenario
    from hwsim.scenario.machine import Machine

FACTS = {
    "model.parameters": "number",
    "model.active_parameters": "number",
    "model.kv_bytes_per_token": "bytes",
    "model.num_hidden_layers": "number",
    "model.hidden_size": "number",
    "model.num_attention_heads": "number",
    "model.num_key_value_heads": "number",
    "model.head_dim": "number",
    "model.intermediate_size": "number",
    "model.vocab_size": "number",
    "model.flop_per_token_linear": "flop",
    "shard.weight_bytes": "bytes",
    "shard.linear_bytes": "bytes",
    "shard.kv_bytes_per_token": "bytes",
    "shard.ring_bytes": "bytes",
    "shard.attention_heads": "number",
    "shard.kv_heads": "number",
    "gpu.hbm_bytes": "bytes",
    "gpu.hbm_bandwidth": "bytes/s",
    "gpu.link_bandwidth": "bytes/s",
    "gpu.peak": "flop/s",
    "gpu.sms": "number",
    "kv.blocks": "number",
    "kv.tokens": "number",
    "kv.bytes": "bytes",
    "system.gpus": "number",
    "solved": "number",
}
STEPS = {
    "decode_step": "time (ms) of a decode step: rows, context of each row",
    "prefill_step": "time (ms) of a step that computes a chunk: new tokens, tokens before them",
    "prefill_batch": "time (ms) of a step that computes several prompts: prompts, tokens of each",
    "mixed_step": "time (ms) of a step with both: rows, context of each, new tokens, tokens before them",
    "attention_flop": "FLOP of causal attention: new tokens, tokens before them",
}


def dimension(name: str) -> tuple[str, float] | None:
    """Dimension of a name and the factor from its unit to base units; ``None`` for an unknown name."""
    if name in FACTS:
        return FACTS[name], 1.0
    try:
        metric = registry.find(name)
    except ScenarioError:
        return None
    return metric.dimension, metric.scale


def require(name: str, where: str) -> None:
    """Raise ``ScenarioError`` with the nearest known name unless ``name`` is a metric or a fact."""
    if dimension(name) is None:
        known = [*registry.names(), *FACTS]
        raise ScenarioError.of(
            f"unknown metric {name!r}",
            where=where,
            expected="a name that hwsim show metrics lists, or a fact such as model.kv_bytes_per_token",
            nearest=nearest(name, known),
        )


class Quantities:
    """The named values of one scenario, each computed when first asked for."""

    def __init__(self, scenario: Scenario, summary: Mapping[str, Any] | None = None) -> None:
        self.scenario = scenario
        self._summary = summary

    @cached_property
    def summary(self) -> Mapping[str, Any]:
        """The summary of the run."""
        if self._summary is not None:
            return self._summary
        from hwsim.scenario.run import run

        return run(self.scenario, record="off").summary

    @cached_property
    def machine(self) -> Machine:
        """What the scenario serves on, resolved."""
        from hwsim.scenario.machine import machine

        return machine(self.scenario)

    @cached_property
    def model(self) -> Any:
        """The network, also of a scenario that has no machine."""
        from hwsim.model import find

        spec = self.scenario.spec.model
        if spec is None or spec.like is None:
            raise ScenarioError.of("the scenario names no model", where=self.scenario.name)
        return find(spec.like, dtype=spec.dtype, kv_cache_dtype=spec.kv_cache_dtype, **spec.overrides())

    @property
    def functions(self) -> dict[str, Callable[..., float]]:
        """Times of single steps, by :data:`STEPS`."""
        return {
            "decode_step": lambda rows, context: self._step(rows, context, 0, 0),
            "prefill_step": lambda new, past=0: self._step(0, 0, new, past),
            "prefill_batch": lambda count, new: self._step(0, 0, new, 0, int(count)),
            "mixed_step": self._step,
            "attention_flop": lambda new, past=0: float(self.model.attention_flop(int(new), int(past))),
        }

    def __call__(self, name: str) -> float:
        """The value of a name; ``ScenarioError`` where this scenario has none."""
        if name == "solved":
            from hwsim.study.solve import solved

            return solved(self.scenario)
        if name not in FACTS:
            value = registry.find(name).read(self.summary)
            if value is None:
                raise ScenarioError.of(f"this run gives no {name}", where=self.scenario.name)
            return value
        return float(self._fact(*name.split(".", 1)))

    def _fact(self, thing: str, name: str) -> float:
        if thing == "model":
            value = getattr(self.model, name, None)
            if value is None and name == "active_parameters":
                value = self.model.parameters
            return self._known(value, f"model.{name}")
        found = self.machine
        if thing == "system":
            return found.gpus_owned
        if thing == "kv":
            room = self._known(found.room, "KV pool")
            tokens = (room.num_gpu_blocks - 1) * found.settings["block_size"]
            return {"blocks": room.num_gpu_blocks, "tokens": tokens, "bytes": room.kv_bytes}[name]
        if thing == "gpu" and name == "peak":
            return found.device.peak(found.model.weight_format.compute)  # type: ignore[union-attr]
        return self._known(getattr(found.shard if thing == "shard" else found.device, name, None), f"{thing}.{name}")

    def _known(self, value: Any, what: str) -> Any:
        if value is None:
            raise ScenarioError.of(f"this scenario has no {what}", where=self.scenario.name)
        return value

    @cached_property
    def _pricer(self) -> Any:
        from hwsim.scenario.build import build

        return build(self.scenario).pricer

    def _step(self, rows: float, context: float, new: float, past: float, count: int = 1) -> float:
        from hwsim.cost.price import SUBTICKS_PER_SECOND, StepShape

        rows, new, past = int(rows), int(new), int(past)
        total = rows * int(context)
        shape = StepShape(rows, ((new, past),) * count if new else (), rows + (count if new else 0))
        price = self._pricer.price(shape, total)
        return max(price.device(total), price.host) / SUBTICKS_PER_SECOND * 1e3
