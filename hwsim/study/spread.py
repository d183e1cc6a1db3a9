"""How far off laws and whole systems are: standard deviations of log time from residuals that no fit has seen."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.metrics import interval

if TYPE_CHECKING:
    from hwsim.cost.efficiency.coefficients import Efficiency
    from hwsim.study.rows import Row

NINETY = 1.645  # standard deviations that 90 % of absolute errors lie within
THIRD = 3
_P90 = re.compile(r"p90\s*\**\s*([\d.]+)\s*%")
STEMS = {
    "output_throughput": "throughput",
    "output_throughput_per_gpu": "throughput",
    "total_token_throughput": "throughput",
    "request_throughput": "throughput",
    "mlperf_output_throughput": "throughput",
    "energy_per_token": "energy",
    "avg_power": "energy",
    "prefill_throughput_per_gpu": "throughput",
    "decode_throughput_per_gpu": "throughput",
    "total_token_throughput_per_gpu": "throughput",
    "decode_speed": "throughput",
    "prefill_speed": "throughput",
}


@cache
def table() -> dict[str, Any]:
    """The committed spreads."""
    import yaml

    return yaml.safe_load((Path(__file__).parent / "spreads.yaml").read_text(encoding="utf-8"))


def of_law(bound: str, efficiency: Efficiency | None = None) -> float:
    """Standard deviation of log time of what is bounded by ``bound`` on a device with these efficiencies."""
    laws = table()["laws"]
    entry = laws.get(bound.split(".")[-1]) or laws["host"]
    sigma = entry["sigma"]
    if efficiency is None:
        return sigma
    known = [found for section in entry["section"] if (found := _residual(efficiency.name, section)) is not None]
    if known:
        sigma = max(known) / 100 / NINETY
    return sigma * (table()["borrowed"] if efficiency.borrowed else 1.0)


@cache
def _residual(name: str, section: str) -> float | None:
    """The 90th percentile (percent) that an efficiency file gives for a section, on left-out groups if it can."""
    import yaml

    from hwsim.cost.efficiency.coefficients import FOLDER

    path = FOLDER / f"{name}.yaml"
    data = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    texts = _texts(data.get(section))
    chosen = [text for key, text in texts if key == "families"] or [text for _, text in texts]
    found = [float(match[1]) for text in chosen for match in _P90.finditer(text)]
    return max(found) if found else None


def _texts(node: Any, key: str = "") -> list[tuple[str, str]]:
    if isinstance(node, dict):
        return [item for name, child in node.items() for item in _texts(child, str(name))]
    return [(key, node)] if isinstance(node, str) else []


def calibrating(group: str) -> bool:
    """Whether a group belongs to the third on which system spreads are fitted: a rule, not a choice."""
    return zlib.crc32(group.encode()) % THIRD == 0


def kind_of(metric: str) -> str:
    """The kind of spread that holds for a metric."""
    return STEMS.get(metric, re.split(r"[._]", metric)[0])


@cache
def borrows(device: str) -> bool:
    """Whether the costs of a device are those of a relative."""
    from hwsim.cost.efficiency import find
    from hwsim.errors import HwsimError
    from hwsim.hardware.find import find_device

    try:
        return bool(find(find_device(device, "gpu")).borrowed)
    except HwsimError:
        return True


def with_interval(row: Row) -> Row:
    """The row with the 80 % interval that a run of it shows, unless its group was used to fit the spread."""
    sigma = interval.spread(kind_of(row.metric), borrowed=borrows(row.device))
    if sigma is not None and row.simulated and not calibrating(row.group):
        row.low, row.high = interval.around(row.simulated, sigma)
    return row


def fitted(rows: Iterable[Row]) -> list[tuple[str, str, int, float]]:
    """Kind, ``calibrated`` or ``borrowed``, rows, and the spread that the calibrating third of the groups has."""
    errors: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if calibrating(row.group) and row.simulated and row.measured > 0 and row.split == "score":
            source = "borrowed" if borrows(row.device) else "calibrated"
            errors.setdefault((kind_of(row.metric), source), []).append(abs(math.log(row.simulated / row.measured)))
    found = []
    for (kind, source), sizes in sorted(errors.items()):
        sizes.sort()
        found.append((kind, source, len(sizes), sizes[min(int(0.8 * len(sizes)), len(sizes) - 1)] / interval.EIGHTY))
    return found
