"""The least that physics allows a measured time: one token needs its weights read once at the full memory bandwidth."""

from __future__ import annotations

from functools import cache
from typing import Any

from hwsim.errors import HwsimError

SLACK = 0.9  # a data sheet may understate a bandwidth


def least_gap_ms(scenario: dict[str, Any], device: str) -> float:
    """Milliseconds between tokens below which a row cannot be true; 0 where nothing can be said.

    All GPUs of a replica read at once, of the experts only those of one token.
    """
    serve, model = scenario.get("serve", {}), scenario.get("model", {})
    ranks = 1
    for name in ("tensor", "pipeline", "data"):
        ranks *= int(serve.get(f"{name}_parallel_size", 1))
    if "like" not in model:
        return 0.0
    return _read_ms(str(model["like"]), model.get("dtype"), device) / ranks


@cache
def _read_ms(like: str, dtype: str | None, device: str) -> float:
    from hwsim.hardware.find import find_device
    from hwsim.model import find

    try:
        found, gpu = find(like, dtype=dtype), find_device(device, "gpu")
    except HwsimError:
        return 0.0
    tables = 2 * found.vocab_size * found.hidden_size
    weights = max(found.active_parameters - tables, 0) * found.weight_format.bytes
    return SLACK * weights / gpu.hbm_bandwidth * 1e3 if gpu.hbm_bandwidth else 0.0
