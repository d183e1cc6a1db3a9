"""What an engine brings along: defaults, host times, graph sizes and memory overheads, each with its source."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from hwsim import units
from hwsim.errors import ScenarioError, nearest

FOLDER = Path(__file__).parent / "engines"
DEFAULT = "vllm-0.33"
_DIMENSIONS = {"base": "s", "per_row": "s", "runtime": "bytes", "graphs": "bytes"}


@dataclass(frozen=True, slots=True)
class EngineProfile:
    """One engine and version.  ``defaults`` are scheduler settings; times in seconds, sizes in bytes."""

    name: str
    scheduler: str
    defaults: dict[str, Any]
    server_defaults: tuple[dict[str, Any], ...]
    graph: dict[str, Any]
    host: dict[str, float]
    memory: dict[str, Any]
    text: str

    def for_device(self, device: str, memory_bytes: float) -> dict[str, int]:
        """``max_num_batched_tokens`` and ``max_num_seqs`` that the API server takes on this device."""
        for row in self.server_defaults:
            excluded = row.get("except")
            if memory_bytes >= units.parse(row["at_least"], "bytes") and not (excluded and excluded in device):
                return {name: row[name] for name in ("max_num_batched_tokens", "max_num_seqs")}
        raise AssertionError("the last row of server_defaults must apply to every device")

    def capture_sizes(self, max_num_seqs: int, max_num_batched_tokens: int) -> tuple[int, ...]:
        """The batch sizes that are captured as CUDA graphs; a decode batch is padded to the next one."""
        graph = self.graph
        largest = min(2 * max_num_seqs, graph["largest"], max_num_batched_tokens)
        sizes = {size for size in graph["small"] if size <= largest}
        sizes.update(range(8, min(largest + 1, graph["every_8_below"]), 8))
        sizes.update(range(graph["every_16_from"], largest + 1, 16))
        for extra in (max_num_seqs, max_num_batched_tokens):
            if extra <= graph["largest"]:
                sizes.add(extra)
        return tuple(sorted(sizes))


def names() -> list[str]:
    """The engine profiles that there are."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


@cache
def find(name: str | None = None) -> EngineProfile:
    """The profile ``name`` (default: the newest vLLM); ``ScenarioError`` names the nearest for an unknown one."""
    name = name or DEFAULT
    if name == "vllm":
        name = DEFAULT
    if name not in names():
        known = names()
        raise ScenarioError.of(
            "unknown engine profile",
            where="serve.engine",
            got=name,
            expected="one of " + ", ".join(known),
            nearest=nearest(name, known),
        )
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    data = yaml.safe_load(text)
    plain = {key: _value(key, item) for key, item in data.items()}
    settings = {key: item["value"] for key, item in data.items() if isinstance(item, dict) and "value" in item}
    return EngineProfile(
        name=data["name"],
        scheduler=data["scheduler"],
        defaults=settings,
        server_defaults=tuple(data["server_defaults"]),
        graph=data["cuda_graph"],
        host=plain["host"],
        memory=plain["memory"],
        text=text,
    )


def _value(key: str, item: Any) -> Any:
    if isinstance(item, dict) and "value" in item:
        return units.parse(item["value"], _DIMENSIONS[key]) if key in _DIMENSIONS else item["value"]
    if isinstance(item, dict):
        return {name: _value(name, inner) for name, inner in item.items()}
    return item
