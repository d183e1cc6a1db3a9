"""Measured kernel times used directly: products and fused experts of shapes that a table holds, the law for the rest.

Between two token counts that were measured, times are interpolated along logarithms; beyond them, and where a
benchmark's weights stayed in the L2 cache (a model's do not), the law answers.  Simplification: of fused experts only
rows of one rank with tokens dealt evenly are used.
"""

from __future__ import annotations

import csv
import gzip
import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hwsim.cost.efficiency.coefficients import Accelerator, Efficiency
from hwsim.cost.gemm import HOSTED, WIDE, Bodies, GemmLaw
from hwsim.cost.moe import MoeLaw
from hwsim.errors import ScenarioError
from hwsim.hardware.short_name import device_of

COPIES = 6  # sets of weights that the benchmark of products cycles through
APART = 4.0  # token counts further apart are not interpolated
GEMM = {"bfloat16": "bf16", "float16": "bf16", "fp8": "fp8", "nvfp4": "fp4"}
MOE = {
    "bfloat16": "bf16",
    "fp8": "fp8",
    "fp8_block": "fp8_block",
    "nvfp4": "fp4",
    "int4_wo": "int4",
    "w4a16_mxfp4": "mxfp4",
    "w4a8_mxfp4_mxfp8": "mxfp4_mxfp8",
}
Key = tuple[Any, ...]  # number format and shape


@dataclass(frozen=True)
class Times:
    """Seconds by token count for each shape."""

    shapes: Mapping[Key, tuple[tuple[float, ...], tuple[float, ...]]]

    def seconds(self, key: Key, tokens: float) -> float | None:
        """The time at a token count, if it was measured or lies between two neighbours that were."""
        found = self.shapes.get(key)
        if found is None:
            return None
        counts, times = found
        at = bisect_left(counts, tokens)
        if at < len(counts) and counts[at] == tokens:
            return times[at]
        if not 0 < at < len(counts) or counts[at] > APART * counts[at - 1]:
            return None
        share = math.log(tokens / counts[at - 1]) / math.log(counts[at] / counts[at - 1])
        return times[at - 1] ** (1 - share) * times[at] ** share


@dataclass(frozen=True, slots=True)
class GemmTable(GemmLaw):
    """Products from a table where it has them."""

    times: Times

    def body(
        self,
        m: int,
        n: int,
        k: int,
        peak: float,
        dtype: str,
        weight_bytes: float,
        activation: float,
        *,
        rounded: bool = False,
    ) -> Bodies:
        """As the law's, with the measured time less its launch (and less the law's rounding where that is done)."""
        law = GemmLaw.body(self, m, n, k, peak, dtype, weight_bytes, activation, rounded=rounded)
        kernel = self.kernel(dtype)
        if COPIES * weight_bytes <= kernel.l2 or dtype in HOSTED:
            return law
        name = "bf16" if dtype == "fp16" else dtype
        found = self.times.seconds((name, n, k), m)
        if found is not None and rounded and dtype not in WIDE:
            found -= kernel.rounding(m, k)
        return law if found is None else _measured(law, found - kernel.launch)


@dataclass(frozen=True, slots=True)
class MoeTable(MoeLaw):
    """Fused experts from a table where it has them."""

    times: Times

    def body(
        self,
        tokens: int,
        experts: int,
        top_k: int,
        hidden: int,
        intermediate: int,
        weight_element_bytes: float,
        activation: float,
        peak: float,
        dtype: str = "bf16",
        ranks: int = 1,
        load_factor: float | None = None,
        routing: str = "uniform",
        matrices: int = 3,
        *,
        dispatched: bool = False,
    ) -> Bodies:
        """As the law's, with the measured time of one rank."""
        shape = (tokens, experts, top_k, hidden, intermediate, weight_element_bytes, activation, peak)
        law = MoeLaw.body(self, *shape, dtype, ranks, load_factor, routing, matrices, dispatched=dispatched)
        name = self.name(dtype, weight_element_bytes)
        active = experts * (1 - (1 - top_k / experts) ** tokens)
        read = active * matrices * hidden * intermediate * weight_element_bytes
        if ranks > 1 or load_factor is not None or matrices != 3 or read <= self.kernels[name].l2:
            return law
        found = self.times.seconds((name, hidden, intermediate, top_k, experts), tokens)
        return law if found is None else _measured(law, found)


def _measured(law: Bodies, seconds: float) -> Bodies:
    """The measured time, bound by what bounds the law."""
    total = max(seconds, 1e-9)
    share = total / law.total if law.total else 1.0
    return Bodies(total, law.compute * share, law.memory * share)


def tabled(efficiency: Efficiency, device: Accelerator, data: Path) -> Efficiency:
    """The laws with the tables of this device in a file or folder in front; ``ScenarioError`` when there is none."""
    products: dict[Key, dict[float, float]] = {}
    experts: dict[Key, dict[float, float]] = {}
    files = list(_files(data, device))
    for path, op in files:
        for row in _rows(path):
            _keep(row, op, products, experts, path)
    if not products and not experts:
        raise ScenarioError.of(
            f"no table of products or experts on {device.name}",
            where="cost.data",
            got=str(data),
            expected="<gpu>_gemm_<software>-<version>.csv.gz or <gpu>_moe_…, or a folder of them, of just this device",
        )
    if not isinstance(efficiency.gemm, GemmLaw) or not isinstance(efficiency.moe, MoeLaw):
        what = "tables are of library kernels, which this engine does not run"
        raise ScenarioError.of(what, where="cost.kind", got=f"table with {efficiency.name}", expected="another engine")
    gemm = GemmTable(efficiency.gemm.kernels, _sorted(products))
    moe = MoeTable(efficiency.moe.kernels, _sorted(experts))
    name = f"{efficiency.name} behind measured tables ({', '.join(path.name for path, _ in files)})"
    return replace(efficiency, gemm=gemm, moe=moe, name=name)


def _files(data: Path, device: Accelerator) -> Iterator[tuple[Path, str]]:
    """Tables of the device with the operation that each is of; those of its other forms, or unchanged, are not."""
    paths = sorted(data.glob("*.csv*")) if data.is_dir() else [data] if data.is_file() else []
    for path in paths:
        gpu, _, rest = path.name.casefold().partition("_")
        op = rest.partition("_")[0]
        if op in ("gemm", "moe") and _measured_on(gpu) == device.name:
            yield path, op


def _measured_on(gpu: str) -> str | None:
    try:
        return device_of(gpu).name
    except ScenarioError:
        return None


def _rows(path: Path) -> Iterator[dict[str, str]]:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8", newline="") as text:
            yield from csv.DictReader(text)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ScenarioError.of(f"cannot be read: {error}", where=str(path), expected="CSV, gzipped or not") from None


def _keep(row: dict[str, str], op: str, products: dict, experts: dict, path: Path) -> None:
    """Take over a row that can be used; one without its numbers raises ``ScenarioError``."""
    try:
        if op == "gemm":
            dtype = GEMM.get(row["gemm_dtype"])
            key: Key = (dtype, int(row["n"]), int(row["k"]))
            tokens, into = float(row["m"]), products
        else:
            dtype = (
                MOE.get(row["moe_dtype"]) if row["distribution"] == "balanced" and row["moe_ep_size"] == "1" else None
            )
            width = int(row["inter_size"]) // int(row["moe_tp_size"])
            key = (dtype, int(row["hidden_size"]), width, int(row["topk"]), int(row["num_experts"]))
            tokens, into = float(row["num_tokens"]), experts
        seconds = float(row["latency_us"]) * 1e-6
    except (KeyError, TypeError, ValueError) as error:
        raise ScenarioError.of(
            f"a row lacks a number or column: {error}", where=path.name, got=str(row)[:120]
        ) from None
    if dtype is not None and seconds > 0:
        known = into.setdefault(key, {})
        known[tokens] = min(seconds, known.get(tokens, math.inf))  # several kernels: an engine takes the fastest


def _sorted(found: dict[Key, dict[float, float]]) -> Times:
    return Times({key: (tuple(sorted(each)), tuple(each[m] for m in sorted(each))) for key, each in found.items()})
