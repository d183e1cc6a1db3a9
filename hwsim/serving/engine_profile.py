"""What an engine brings along: defaults, host times, graph sizes and memory overheads, each with its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from hwsim import units
from hwsim.errors import ScenarioError, nearest

FOLDER = Path(__file__).parent / "engines"
DEFAULT = "vllm-0.33"
REFERENCE_SPEED = 3.8e9 * 1.40  # of a thread of a Xeon-8480+, on whose servers host times were measured and fitted
FAMILIES = ("vllm", "sglang", "trtllm", "llama.cpp")  # named alone: the newest version
_DIMENSIONS = {
    "base": "s",
    "per_row": "s",
    "per_kernel": "s",
    "per_mla_layer": "s",
    "per_scan_layer": "s",
    "before": "s",
    "each": "s",
    "before_per_token": "s",
    "after": "s",
    "runtime": "bytes",
    "graphs": "bytes",
}


@dataclass(frozen=True, slots=True)
class EngineProfile:
    """One engine and version.  ``defaults`` are scheduler settings; times in seconds, sizes in bytes.

    ``server`` is what a client sees beside the engine: seconds before a prompt reaches the scheduler (``before``; one
    request after another ``each`` and ``before_per_token`` of the prompt), after a token leaves it (``after``).
    ``stack`` names the kernels that it runs: those of vLLM, or its own.
    """

    name: str
    scheduler: str
    defaults: dict[str, Any]
    server_defaults: tuple[dict[str, Any], ...]
    graph: dict[str, Any]
    host: dict[str, float]
    memory: dict[str, Any]
    server: dict[str, float]
    text: str
    stack: str = "vllm"

    def for_device(self, device: str, memory_bytes: float) -> dict[str, Any]:
        """``max_num_batched_tokens`` and ``max_num_seqs`` that the server takes on this device, and its share of it."""
        for row in self.server_defaults:
            excluded = row.get("except")
            if memory_bytes >= units.parse(row["at_least"], "bytes") and not (excluded and excluded in device):
                found: dict[str, Any] = {name: row[name] for name in ("max_num_batched_tokens", "max_num_seqs")}
                if "reserved" in self.memory:
                    found["gpu_memory_utilization"] = self._static_share(row, memory_bytes)
                return found
        raise AssertionError("the last row of server_defaults must apply to every device")

    def _static_share(self, row: dict[str, Any], memory_bytes: float) -> float:
        """SGLang's ``mem_fraction_static``: all but what activations and graphs are expected to take."""
        reserved = self.memory["reserved"]
        mib = reserved["fixed"] + reserved["per_chunk_token"] * max(row["max_num_batched_tokens"], 2048)
        mib += reserved["per_graph_row"] * row["largest_graph"]
        if memory_bytes > 60 << 30:
            mib = max(mib, reserved["least_above_60_gib"])
        return round(1 - mib * 2**20 / memory_bytes, 3)

    @property
    def kernel_start(self) -> float | None:
        """Seconds that a kernel in a graph takes to start where the engine lets it begin under the one before it."""
        given = self.graph.get("kernel_start")
        return None if given is None else units.parse(given["value"], "s")

    def on_host(self, thread_speed: float | None) -> EngineProfile:
        """The profile on another processor: host and server times go with the speed of a thread.

        They were measured and fitted on servers of ``REFERENCE_SPEED``.  Simplification: all of a host's work scales.
        """
        slower = REFERENCE_SPEED / thread_speed if thread_speed else 1.0
        if abs(slower - 1) < 1e-9:
            return self
        scaled = {
            part: {key: time * slower for key, time in getattr(self, part).items()} for part in ("host", "server")
        }
        return replace(self, **scaled)

    @property
    def host_per_layer(self) -> dict[str, float]:
        """Seconds that a layer takes the host outside graphs beyond its kernels, by the kind of its token mixer."""
        return {kind: self.host.get(f"per_{kind}_layer", 0.0) for kind in ("mla", "scan")}

    def at_site(self, times: Mapping[str, float]) -> EngineProfile:
        """The profile with some host and server times (``host_base``, ``server_before``…) measured elsewhere."""
        parts = {part: dict(getattr(self, part)) for part in ("host", "server")}
        for name, value in times.items():
            part, _, key = name.partition("_")
            parts[part][key] = value
        return replace(self, **parts)

    def first_token_extra(self, prompt_tokens: float) -> float:
        """Seconds that a client's TTFT is longer than the engine's."""
        server = self.server
        return server["before"] + server["each"] + server["before_per_token"] * prompt_tokens + server["after"]

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


def newest(family: str) -> str:
    """The newest version of an engine that has a profile."""
    found = [name for name in names() if name.rpartition("-")[0] == family]
    return max(found, key=lambda name: [int(part) for part in name.rpartition("-")[2].split(".")])


@cache
def find(name: str | None = None) -> EngineProfile:
    """The profile ``name`` (default: the newest vLLM); ``ScenarioError`` names the nearest for an unknown one."""
    name = name or DEFAULT
    if name in FAMILIES:
        name = newest(name)
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
    settings["scheduler"] = data["scheduler"]
    settings["options"] = {name: item["value"] for name, item in data.get("options", {}).items()}
    return EngineProfile(
        name=data["name"],
        scheduler=data["scheduler"],
        defaults=settings,
        server_defaults=tuple(data["server_defaults"]),
        graph=data["cuda_graph"],
        host=plain["host"],
        memory=plain["memory"],
        server={"before": 0.0, "each": 0.0, "before_per_token": 0.0, "after": 0.0, **plain.get("server", {})},
        text=text,
        stack=data.get("stack", "vllm"),
    )


def _value(key: str, item: Any) -> Any:
    if isinstance(item, dict) and "value" in item:
        return units.parse(item["value"], _DIMENSIONS[key]) if key in _DIMENSIONS else item["value"]
    if isinstance(item, dict):
        return {name: _value(name, inner) for name, inner in item.items()}
    return item
