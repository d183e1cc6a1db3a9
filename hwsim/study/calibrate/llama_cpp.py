"""The laws of llama.cpp's kernels fitted to whole runs of single sequences, on every other group of them.

``python -m hwsim.study.calibrate.llama_cpp cuda`` (or ``metal``) fits from the measured rows of the suite ``edge`` and
prints coefficients and errors as they stand in ``hwsim/cost/efficiency``.  There are no kernel tables of this stack, so
what is fitted is the time of a token or of a prompt: products, launches and element-wise kernels together, attention
by the law that the device borrows.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from hwsim.cost.efficiency import find as find_efficiency
from hwsim.cost.efficiency.build import kernel
from hwsim.cost.efficiency.coefficients import FOLDER, load
from hwsim.cost.gguf import GgufGemmLaw, GgufKernel, GgufMoeLaw
from hwsim.cost.launch import LaunchLaw
from hwsim.cost.stream import StreamLaw
from hwsim.cost.work import PassWork
from hwsim.errors import HwsimError
from hwsim.hardware.find import find_device
from hwsim.model import find as find_model
from hwsim.model.sharding import Shard
from hwsim.study.suites.edge import BOARDS, PART, fitted_on
from hwsim.units import parse

BACK_ENDS = {"cuda": "cuda-llama.cpp", "metal": "metal-llama.cpp", "hip": "hip-llama.cpp"}
MICRO_BATCH = 512  # tokens of a prompt that go through the layers together
HOST = 1.5e-4  # seconds per token beside the device: of the engine profile
BOUNDS = {  # what is fitted, between these
    "memory": (0.5, 1.0),
    "in_flight": (2.0, 30.0),
    "packed": (0.3, 1.0),
    "compute": (0.1, 1.0),
    "row_bytes": (2.0, 64.0),
    "ramp": (1e-7, 3e-5),
    "inside": (0.3, 1.0),
    "launch": (1e-7, 3e-5),
    "stream": (0.02, 1.0),
    "eager": (1e-7, 3e-4),
}
LOSS = 0.1  # errors beyond this weigh less and less: some rows were measured on throttled or shared machines


@dataclass(frozen=True)
class Run:
    """One measured speed: ``tokens`` of a prompt, or one token after ``tokens``."""

    device: str
    model: str
    dtype: str
    prefill: bool
    tokens: int
    speed: float
    fitted: bool
    cards: int


def runs(back_end: str, data: Path | None = None) -> list[Run]:
    """The rows of a back end's devices, without those of board computers."""
    mapping = load(FOLDER / f"{BACK_ENDS[back_end]}.yaml")
    designs = {mapping["architecture"], *mapping["architectures"]}
    found = []
    for case in PART.cases(data):
        serve = case.scenario["serve"] if case.scenario is not None else {}
        for row in case.rows if "engine" in serve else ():
            if row.metric not in ("prefill_speed", "decode_speed") or any(board in row.group for board in BOARDS):
                continue
            assert case.scenario is not None
            try:
                known = find_device(row.device, "gpu").architecture in designs
            except HwsimError:
                known = False
            cards, prefill = serve.get("pipeline_parallel_size", 1), row.metric == "prefill_speed"
            if known and not (prefill and cards > 1):  # prompts over several cards overlap: left to the engine
                model, tokens = case.scenario["model"], case.scenario["workload"]["input_tokens"]
                fitted = fitted_on(row.group)
                run = Run(row.device, model["like"], model["dtype"], prefill, tokens, row.measured, fitted, cards)
                found.append(run)
    return found


def committed(back_end: str) -> dict[str, float]:
    """The coefficients that stand in the file."""
    mapping = load(FOLDER / f"{BACK_ENDS[back_end]}.yaml")
    part = mapping["gemm"]["gguf"]["coefficients"]
    law = kernel(GgufKernel, {"coefficients": part}, find_device("RTX-3090", "gpu"))
    found = {name: float(getattr(law, name)) for name in BOUNDS if hasattr(law, name)}
    found["passes"] = law.passes
    times = {name: float(parse(mapping["launch"][key], "s")) for name, key in (("launch", "graph"), ("eager", "eager"))}
    return found | times | {"stream": float(parse(mapping["stream"]["memory"], "share"))}


def speed(run: Run, values: Mapping[str, float]) -> float:
    """Tokens per second by the laws with these coefficients."""
    work, device = _work(run, values)
    chunks = list(_chunks(run))
    seconds = 0.0
    for new, past in chunks:
        launch = values["eager"] if run.prefill else values["launch"]
        for part in (work.blocks(new, launch), work.head(1, launch)):
            seconds += part.hbm + part.tensor + part.launch
        seconds += _attention(work, device, new, past, values["launch"], prefill=run.prefill)
    return (run.tokens if run.prefill else 1) / (seconds + (0.0 if run.prefill else HOST))


def _chunks(run: Run) -> Iterator[tuple[int, int]]:
    if not run.prefill:
        yield 1, run.tokens
        return
    for past in range(0, run.tokens, MICRO_BATCH):
        yield min(MICRO_BATCH, run.tokens - past), past


def _work(run: Run, values: Mapping[str, float]) -> tuple[PassWork, Any]:
    """The model on the device under these laws."""
    device, shard, borrowed = _machine(run.device, run.model, run.dtype)
    names = {name: values[name] for name in ("memory", "in_flight", "packed", "compute", "row_bytes", "ramp", "inside")}
    law = kernel(GgufKernel, {"coefficients": _texts({**names, "passes": values["passes"]})}, device)
    launch, stream = values["launch"], values["stream"]
    efficiency = replace(
        borrowed,
        gemm=GgufGemmLaw(law),
        moe=GgufMoeLaw(law),
        launch=LaunchLaw(launch, values["eager"], launch),
        stream=StreamLaw(device.hbm_bandwidth, stream, 0.0),
    )
    return PassWork(shard, device, efficiency), device


def _texts(values: Mapping[str, float]) -> dict[str, str]:
    """Coefficients as a file has them, with those that are not fitted."""
    units = {"memory": 100, "packed": 100, "compute": 100, "inside": 100}
    found = {
        name: f"{value * units[name]:.9g} %" if name in units else f"{value:.9g}" for name, value in values.items()
    }
    return found | {"ramp": f"{values['ramp']:.9g} s", "sharpness": "4", "exponent": "4"}


@cache
def _machine(device: str, model: str, dtype: str) -> tuple[Any, Shard, Any]:
    found = find_device(device, "gpu")
    return found, Shard(find_model(model, dtype=dtype)), find_efficiency(found)


def _attention(work: PassWork, device: Any, new: int, past: int, launch: float, *, prefill: bool) -> float:
    """Attention of all layers by the borrowed laws (latent attention is left out: few rows, little time)."""
    seconds, laws = 0.0, work.efficiency
    for count, block in work.shard.kinds:
        mixer: Any = block.mixer
        if not hasattr(mixer, "kv_heads"):
            continue
        shape = (mixer.heads, mixer.kv_heads, mixer.head_dim)
        if prefill:
            seconds += count * (
                laws.prefill.floor + laws.prefill.body(new, past, *shape, device.peak("bf16"), 2.0).total
            )
        else:
            seconds += count * (laws.decode.kernel(2.0).seconds(1, max(past, 1), *shape, 2.0) + launch)
    return seconds


def errors(rows: list[Run], values: Mapping[str, float]) -> dict[str, list[float]]:
    """Relative errors by ``decode`` or ``prefill``, those of rows fitted on apart."""
    found: dict[str, list[float]] = {}
    for run in rows:
        name = ("prefill" if run.prefill else "decode") + (" (fitted on)" if run.fitted else "")
        found.setdefault(name, []).append(speed(run, values) / run.speed - 1)
    return found


def fit(rows: list[Run], start: Mapping[str, float]) -> dict[str, float]:
    """The coefficients with the least errors of log speed on the fitted rows, from ``start``."""
    import numpy as np
    from scipy.optimize import least_squares

    chosen, names = [run for run in rows if run.fitted], list(BOUNDS)
    low, high = (np.log([BOUNDS[name][end] for name in names]) for end in (0, 1))

    def wrong(x: Any) -> Any:
        values = dict(start) | dict(zip(names, np.exp(x).tolist(), strict=True))
        return [math.log(speed(run, values) / run.speed) for run in chosen]

    first = np.clip(np.log([start[name] for name in names]), low + 1e-6, high - 1e-6)
    found = least_squares(wrong, first, bounds=(low, high), loss="soft_l1", f_scale=LOSS, diff_step=1e-2, max_nfev=25)
    return dict(start) | dict(zip(names, np.exp(found.x).tolist(), strict=True))


def main(back_end: str) -> None:
    """Fit and print."""
    rows = runs(back_end)
    values = fit(rows, committed(back_end))
    print("  ".join(f"{name} {value:.4g}" for name, value in values.items()))
    for name, found in sorted(errors(rows, values).items()):
        sizes = sorted(abs(error) for error in found)
        p90 = sizes[round(0.9 * (len(sizes) - 1))]
        print(f"{name}: n {len(found)}, median {statistics.median(sizes):.1%}, p90 {p90:.1%}")


if __name__ == "__main__":
    main(sys.argv[1])
