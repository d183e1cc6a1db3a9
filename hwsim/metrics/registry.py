"""The one registry of metric names: unit, definition, and where a summary holds the value.

``slo``, ``assert``, ``study`` and ``claims`` use these names.  Besides the listed ones there are families:
``memory.<pool>.peak`` for every memory pool and ``bottleneck.<resource>`` for every resource that can bound; of task
graphs ``step.time``, ``graph.tflops``, ``link.<from>-<to>.bytes``, ``stream.<name>.busy``,
``storage.<place>.read_bytes``, ``.written_bytes`` and ``.life_years``; of KV tiers ``tier.<name>.hit_rate`` (``gpu``
too), ``.read_bytes``, ``.written_bytes``, ``.peak_bytes``, ``.iops``, ``.life_years``,
``.slower_tokens``, ``.spared_tokens``, ``prefix.hit_rate`` and ``link.<name>.bytes``; of patterns
``part.decode.<work>`` and ``part.prefill.<work>``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hwsim.errors import ScenarioError, nearest
from hwsim.metrics.statistics import STATISTICS


@dataclass(frozen=True, slots=True)
class Metric:
    """A name with its unit (as summaries print it), its definition, and its place in a summary.

    ``dimension`` is that of ``hwsim.units``; a summary's value times ``scale`` is in its base unit.  ``better`` says
    which direction is good, for searches and differences.
    """

    name: str
    unit: str
    definition: str
    path: tuple[str, ...]
    dimension: str
    better: str = "lower"
    scale: float = 1.0

    def read(self, summary: Mapping[str, Any]) -> float | None:
        """The value in ``unit``, or ``None`` where the run could not give one."""
        value: Any = summary
        for key in self.path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return None if value is None else float(value)

    def base(self, summary: Mapping[str, Any]) -> float | None:
        """The value in the base unit of its dimension (seconds, bytes, …)."""
        value = self.read(summary)
        return None if value is None else value * self.scale


_LATENCIES = {
    "ttft": "time to first token: first output token minus arrival, over completed requests",
    "tpot": "time per output token: (last minus first token) / (output tokens - 1) of each completed request with more "
    "than one, every request weighing the same",
    "itl": "inter-token latency: the gaps between consecutive tokens of all requests pooled, every gap weighing the "
    "same; shows stalls that tpot hides",
    "e2e": "end-to-end latency: last output token minus arrival, over completed requests",
    "queue_wait": "first time scheduled minus arrival, over completed requests",
}
_WORDS = {"mean": "mean", "std": "population standard deviation", "max": "maximum"}
_SPAN = "between the first arrival and the last completion"


def _latency(name: str, statistic: str) -> Metric:
    word = _WORDS.get(statistic, f"{statistic[1:]}th percentile (linear interpolation)")
    text = f"{word} of {_LATENCIES[name]}"
    return Metric(f"{name}.{statistic}", "ms", text, (f"{name}_ms", statistic), "s", scale=1e-3)


def _rest() -> Iterator[Metric]:
    high = "higher"
    rate, tokens = "1/s", "tokens/s"
    yield Metric(
        "throughput.request",
        rate,
        f"completed requests per second {_SPAN}",
        ("request_throughput",),
        rate,
        high,
    )
    yield Metric("throughput.output", tokens, f"output tokens per second {_SPAN}", ("output_throughput",), rate, high)
    text = f"prompt and output tokens per second {_SPAN}"
    yield Metric("throughput.total", tokens, text, ("total_token_throughput",), rate, high)
    text = "output tokens per second and GPU in use"
    yield Metric("throughput.output_per_gpu", tokens, text, ("output_throughput_per_gpu",), rate, high)
    text = "interactivity: the mean over requests of 1 / TPOT"
    yield Metric("throughput.output_per_user", tokens, text, ("output_throughput_per_user",), rate, high)
    text = f"completed requests that keep every limit of slo, per second {_SPAN}"
    yield Metric("goodput", rate, text, ("goodput",), rate, high)
    text = "requests that keep every limit of slo over all that arrived; rejected and unfinished ones miss it"
    yield Metric("slo.attainment", "share", text, ("slo_attainment",), "share", high)
    for status, better in (
        ("arrived", high),
        ("completed", high),
        ("rejected", "lower"),
        ("unfinished", "lower"),
    ):
        yield Metric(f"requests.{status}", "requests", f"requests {status}", ("requests", status), "count", better)
    text = "most bytes of one GPU in use at any moment, by the owners that the run knows"
    yield Metric("memory.gpu.peak", "bytes", text, ("memory", "gpu", "peak_bytes"), "bytes")
    text = "most bytes of the KV pool of one replica held by running requests at any moment"
    yield Metric("memory.kv.peak", "bytes", text, ("memory", "kv", "peak_bytes"), "bytes")
    text = "model FLOP utilisation: executed FLOP over peak FLOP of the GPUs in use and simulated time"
    yield Metric("mfu", "share", text, ("mfu",), "share", high)
    text = "memory bandwidth utilisation: HBM bytes moved over peak bytes of the GPUs in use and simulated time"
    yield Metric("mbu", "share", text, ("mbu",), "share", high)
    text = (
        "energy of all that is owned: idle power of GPUs, hosts and switches, plus energy per FLOP and byte of the "
        "GPUs in use, at most their board power"
    )
    yield Metric("energy.joules", "J", text, ("energy_joules",), "J")
    text = "the part of energy.joules that falls to the GPUs in use: they themselves and their share of the hosts"
    yield Metric("energy.used_joules", "J", text, ("energy_used_joules",), "J")
    text = "energy of the boards of the GPUs in use alone, as their own meters show it"
    yield Metric("energy.gpu_joules", "J", text, ("energy_gpu_joules",), "J")
    text = "energy.gpu_joules over output tokens"
    yield Metric("energy.gpu_joules_per_output_token", "J", text, ("joules_gpu_per_output_token",), "J")
    text = "energy.joules over output tokens"
    yield Metric("energy.joules_per_output_token", "J", text, ("joules_per_output_token",), "J")
    yield Metric(
        "cost.usd", "usd", "median price per hour of all that is owned times simulated time", ("cost_usd",), "usd"
    )
    text = "the part of cost.usd that falls to the GPUs in use"
    yield Metric("cost.used_usd", "usd", text, ("cost_used_usd",), "usd")
    text = "cost.usd over a million output tokens"
    yield Metric("usd_per_million_output_tokens", "usd", text, ("usd_per_million_output_tokens",), "usd")
    text = "least time per output token that the data sheet allows for this model and context, without any overhead"
    yield Metric("bound.tpot", "ms", text, ("bound", "tpot_ms"), "s", scale=1e-3)
    yield Metric("gpus.owned", "GPUs", "GPUs of the system, used or idle", ("gpus_owned",), "count")
    yield Metric("gpus.used", "GPUs", "GPUs on which a replica runs", ("gpus_used",), "count")
    yield Metric(
        "simulated_seconds",
        "s",
        "simulated time from zero to the end of the last step",
        ("simulated_seconds",),
        "s",
    )
    text = "GPU-hours of replicas that were open, starting, running dry or down (with a control plane)"
    yield Metric("fleet.gpu_hours", "h", text, ("fleet", "gpu_hours"), "number")
    text = "requests that a failed replica gave back and others went on with"
    yield Metric("fleet.requests_moved", "requests", text, ("fleet", "requests_moved"), "count")
    for name in ("started", "stopped", "failed"):
        yield Metric(f"fleet.{name}", "replicas", f"times that a replica {name}", ("fleet", name), "count")
    text = "pages of contiguous KV that the driver mapped, over all replicas"
    yield Metric("mapping.mapped_pages", "pages", text, ("mapping", "mapped_pages"), "count")
    text = "pages of contiguous KV that a request found mapped in its place, over all that it used"
    yield Metric("mapping.reused_share", "share", text, ("mapping", "reused_share"), "share", "higher")
    text = "time that steps waited for the driver to map contiguous KV, over all replicas"
    yield Metric("mapping.waited", "s", text, ("mapping", "waited_s"), "s")
    yield Metric("steps", "steps", "engine steps executed, over all replicas", ("steps",), "count")


_ALL = {
    metric.name: metric for metric in (*(_latency(name, stat) for name in _LATENCIES for stat in STATISTICS), *_rest())
}


_TIER = {  # figure -> dimension, better, definition (the tier follows)
    "hit_rate": ("share", "higher", "prompt tokens found in a tier over all prompt tokens let in:"),
    "peak_bytes": ("bytes", "lower", "most bytes of KV in"),
    "read_bytes": ("bytes", "lower", "bytes of KV copied from"),
    "written_bytes": ("bytes", "lower", "bytes of KV copied to"),
    "iops": ("1/s", "lower", "reads and writes a second of the drives of tier"),
    "spared_tokens": ("tokens", "higher", "prompt tokens not handed over since decode found them in tier"),
    "slower_tokens": ("tokens", "lower", "prompt tokens loaded that would have been computed sooner, from tier"),
    "life_years": ("number", "higher", "years until the endurance of the drives is used up at this rate of writes:"),
}


def names() -> list[str]:
    """All listed names."""
    return list(_ALL)


def items() -> list[tuple[str, Metric]]:
    """All listed names with their metrics."""
    return list(_ALL.items())


def find(name: str, where: str = "") -> Metric:
    """The metric of that name; an unknown one raises ``ScenarioError`` with the nearest known name."""
    if name in _ALL:
        return _ALL[name]
    family, _, rest = name.partition(".")
    pool, _, figure = rest.rpartition(".")
    if family == "memory" and figure == "peak" and pool:
        return Metric(name, "bytes", f"most bytes of {pool} in use", ("memory", pool, "peak_bytes"), "bytes")
    if name == "step.time":
        return Metric(name, "ms", "makespan of a task graph over its steps", ("step_time_ms",), "s", scale=1e-3)
    if name == "graph.tflops":
        return Metric(name, "TFLOP/s", "FLOP of a task graph over its makespan", ("tflops",), "number", "higher")
    if family == "part" and rest.startswith(("prefill.", "decode.")):
        kind, _, part = rest.partition(".")
        text = f"work called {part} in a {kind} pass, over all layers and streams, whether hidden or not"
        return Metric(name, "ms", text, ("parts", kind, part), "s", scale=1e-3)
    if family == "tier" and pool and figure in _TIER:
        dimension, better, text = _TIER[figure]
        unit = "years" if figure == "life_years" else dimension
        return Metric(name, unit, f"{text} {pool}", ("kv_tiers", pool, figure), dimension, better)
    if name == "prefix.hit_rate":
        text = "prompt tokens that were cached on a GPU or in a tier below it, over all prompt tokens let in"
        return Metric(name, "share", text, ("kv_tiers", "hit_rate"), "share", "higher")
    if family == "link" and figure == "bytes" and pool:
        return Metric(name, "bytes", f"bytes copied over {pool}", ("links", pool, "bytes"), "bytes")
    if family == "stream" and figure == "busy" and pool:
        return Metric(
            name, "share", f"share of the time in which stream {pool} runs", ("streams", pool, "busy_share"), "share"
        )
    if family == "storage" and pool and figure in ("read_bytes", "written_bytes"):
        return Metric(name, "bytes", f"{figure.replace('_', ' ')} of {pool}", ("storage", pool, figure), "bytes")
    if family == "storage" and pool and figure == "life_years":
        text = f"years until the endurance of {pool} is written if this goes on for ever"
        return Metric(name, "years", text, ("storage", pool, figure), "count")
    if family == "bottleneck" and rest:
        text = f"share of the replicas' time in which {rest} bounds"
        return Metric(name, "share", text, ("bottleneck", rest), "share")
    raise ScenarioError.of(
        f"unknown metric {name!r}",
        where=where,
        expected="one of those that hwsim show metrics lists",
        nearest=nearest(name, _ALL),
    )
