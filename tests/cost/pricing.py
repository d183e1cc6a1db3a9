"""Pricers that the tests of this folder share."""

from __future__ import annotations

from typing import Any

from hwsim.cost.efficiency import find as find_efficiency
from hwsim.cost.launch import vllm_capture_sizes
from hwsim.cost.price import SUBTICKS_PER_SECOND, StepShape
from hwsim.cost.roofline import RooflinePricer
from hwsim.hardware.find import find_device
from hwsim.model import Shard, find

SIZES = vllm_capture_sizes(1024, 8192)


def pricer(
    model: str = "meta-llama/Llama-3.1-8B",
    device: str | dict[str, Any] = "H100-SXM",
    ranks: int = 1,
    dtype: str | None = None,
    **more: Any,
) -> RooflinePricer:
    """A pricer of one replica under vLLM's kernels."""
    gpu = find_device(device, "gpu")
    more = {"capture_sizes": SIZES} | more
    return RooflinePricer(Shard(find(model, dtype=dtype), ranks), gpu, find_efficiency(gpu), **more)


def decode(rows: int) -> StepShape:
    """A batch of decodes alone."""
    return StepShape(rows, (), rows)


def device_ms(pricer: RooflinePricer, shape: StepShape, context: int) -> float:
    """Device time of a step in milliseconds."""
    return pricer.price(shape, context).device(context) / SUBTICKS_PER_SECOND * 1e3
