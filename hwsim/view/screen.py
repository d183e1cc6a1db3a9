"""A run on one screen of a terminal: the answer, latencies, what bounds it, memory, energy, cost, and warnings last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hwsim.view._members import handed_over, members
from hwsim.view._numbers import gibibytes, milliseconds, plain, quantity, share, usd
from hwsim.view._words import bound_name, headline, least, objective

if TYPE_CHECKING:
    from rich.console import RenderableType

COLUMNS = ("mean", "p50", "p90", "p95", "p99", "max")
ROWS = (
    ("TTFT", "ttft_ms"),
    ("TPOT", "tpot_ms"),
    ("ITL", "itl_ms"),
    ("E2E", "e2e_ms"),
    ("queue wait", "queue_wait_ms"),
)
MS = ("ttft", "tpot")
SHORT = {"ttft": "TTFT", "tpot": "TPOT", "throughput": "output/s", "slo": "SLO"}
FORMS = {"ttft": milliseconds, "tpot": milliseconds, "slo": share}
BAR = 18
MOST_WARNINGS = 6


def screen(summary: Mapping[str, Any]) -> RenderableType:
    """Something that ``rich`` prints within 80 columns and about thirty lines."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    parts: list[RenderableType] = [
        Text(f"{summary['name']} · seed {summary['seed']}", style="dim", overflow="ellipsis", no_wrap=True),
        Text(headline(summary), style="bold"),
        Padding(_latencies(summary), (1, 0)),
        _facts(summary),
        *(Padding(_table(found.columns, found.rows), (1, 0, 0, 0)) for found in members(summary)),
    ]
    warnings = list(summary["warnings"])
    if warnings:
        parts.append(Text())
    for warning in warnings[:MOST_WARNINGS]:
        parts.append(_warning(warning))
    if len(warnings) > MOST_WARNINGS:
        parts.append(_warning(f"{len(warnings) - MOST_WARNINGS} more in the report"))
    return Group(*parts)


def _latencies(summary: Mapping[str, Any]) -> RenderableType:
    rows = [(name, *(milliseconds(summary[key][column]) for column in COLUMNS)) for name, key in ROWS]
    return _table(("", *COLUMNS), rows)


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> RenderableType:
    """A column of names and columns of figures, without lines."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 0, 0, 2), header_style="dim", pad_edge=False)
    table.add_column(columns[0])
    for name in columns[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def _warning(text: str) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_row(Text("!", style="yellow"), Text(text, style="yellow"))
    return grid


def _facts(summary: Mapping[str, Any]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True, min_width=10)
    for name, text in _rows(summary):
        grid.add_row(name, Text(text))
    return grid


def _rows(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    counts = summary["requests"]
    text = f"{counts['arrived']:,} arrived, {counts['completed']:,} completed"
    yield "requests", f"{text}, {counts['rejected']:,} rejected, {counts['unfinished']:,} unfinished"
    yield (
        "tokens",
        f"{plain(summary['output_throughput'])} output/s, {plain(summary['total_token_throughput'])} in all/s",
    )
    per_gpu, per_user = summary["output_throughput_per_gpu"], summary["output_throughput_per_user"]
    yield "", f"{plain(per_gpu)} output/s per GPU, {plain(per_user)} per user"
    if text := objective(summary):
        limits, _, kept = text.partition(": ")
        yield "SLO", limits
        if kept:
            yield "", f"{kept}; goodput {plain(summary['goodput'])} /s"
    if text := least(summary):
        yield "bound", text
    yield from _intervals(summary)
    yield from _shares(summary)
    yield from _memory(summary)
    if text := handed_over(summary):
        yield "hand-over", text
    yield from _tiers(summary)
    if mapping := summary.get("mapping"):
        reused = "" if mapping["reused_share"] is None else f", {share(mapping['reused_share'])} of all found mapped"
        text = f"{mapping['mapped_pages']:,} pages{reused}; steps waited {quantity(mapping['waited_s'], 's')}"
        yield "KV mapped", text
    used, owned = summary["gpus_used"], summary["gpus_owned"]
    yield "GPUs", f"{used} used of {owned} owned; MFU {share(summary['mfu'])}, MBU {share(summary['mbu'])}"
    if summary["energy_joules"] is not None:
        per_token = quantity(summary["joules_per_output_token"], "J")
        used = summary.get("energy_used_joules")
        part = "" if used is None or used == summary["energy_joules"] else f"; GPUs in use {quantity(used, 'J')}"
        yield "energy", f"{quantity(summary['energy_joules'], 'J')}, {per_token} per output token{part}"
    if summary["cost_usd"] is not None:
        per_million = usd(summary["usd_per_million_output_tokens"])
        low, high = (summary.get(f"usd_per_million_output_tokens_{end}") for end in ("low", "high"))
        between = "" if low is None or high is None or low == high else f" ({usd(low)} to {usd(high)})"
        yield "cost", f"{usd(summary['cost_usd'])} for what is owned, {per_million} per million output tokens{between}"
    wall = "" if summary["wall_seconds"] is None else f" in {summary['wall_seconds']:,.2f} s"
    steps, stretches = summary["steps"] or 0, summary["stretches"] or 0
    yield (
        "simulated",
        f"{summary['simulated_seconds']:,.1f} s{wall}; {steps:,} steps in {stretches:,} stretches",
    )


def _intervals(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The 80 % intervals of the headline figures in their units, sampling and model apart."""
    for kind in ("sampling", "model"):
        texts: dict[str, list[str]] = {}
        for name, ends in (summary.get("intervals") or {}).items():
            stem, _, rest = name.partition(".")
            if ends[kind] is not None and stem in SHORT:
                show = FORMS.get(stem, plain)
                ranged = f"{show(ends[kind][0])} to {show(ends[kind][1])}"
                texts.setdefault(SHORT[stem], []).append(f"{rest} {ranged}" if stem in MS else ranged)
        if texts:
            yield f"80 % {kind}", "; ".join(f"{name} {', '.join(some)}" for name, some in texts.items())


def _shares(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    shares = sorted(summary["bottleneck"].items(), key=lambda item: (item[0] == "idle", -item[1]))
    for number, (name, value) in enumerate(item for item in shares if item[1] >= 0.005):
        bar = "█" * round(value * BAR)
        yield "time" if number == 0 else "", f"{bound_name(name):<14}{share(value):>7} {bar}"


def _tiers(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Where prompts found their KV, tier by tier."""
    for name, tier in summary.get("kv_tiers", {}).items():
        if not isinstance(tier, Mapping) or tier["hit_rate"] is None:
            continue
        text = f"{name:<14}{share(tier['hit_rate']):>7} of prompt tokens"
        if "limit_bytes" in tier:
            text += f"; peak {gibibytes(tier['peak_bytes'])}, written {gibibytes(tier['written_bytes'])}"
        if tier.get("iops") is not None:
            text += f"; {plain(tier['iops'])} accesses/s"
        if tier.get("life_years") is not None:
            text += f"; lives {plain(tier['life_years'])} years"
        yield "KV found" if name == "gpu" else "", text


def _memory(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    kv, gpu = summary["memory"].get("kv") or {}, summary["memory"].get("gpu") or {}
    texts = []
    if kv.get("capacity_bytes"):
        texts.append(
            f"KV {share(kv['peak_bytes'] / kv['capacity_bytes'])} of {gibibytes(kv['capacity_bytes'])} at its peak"
        )
    if gpu.get("capacity_bytes"):
        texts.append(f"GPU {gibibytes(gpu['peak_bytes'])} of {gibibytes(gpu['capacity_bytes'])}")
    if texts:
        yield "memory", "; ".join(texts)
