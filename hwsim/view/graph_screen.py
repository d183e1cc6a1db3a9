"""The run of a task graph on one screen: how long, what the streams did, what the critical path waits for, memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hwsim.view._numbers import gibibytes, milliseconds, plain, quantity, share

if TYPE_CHECKING:
    from rich.console import RenderableType

BAR = 18
MOST = 8


def graph_headline(summary: Mapping[str, Any]) -> str:
    """The answer of a run in one sentence."""
    if summary["step_time_ms"] is not None:
        text = f"{summary['name']}: a step takes {milliseconds(summary['step_time_ms'])}"
    else:
        text = f"{summary['name']} takes {milliseconds(summary['simulated_seconds'] * 1e3)}"
    if summary["output_throughput"] is not None:
        text += f", {plain(summary['output_throughput'])} tokens/s"
    if summary["bottleneck"]:
        name, part = next(iter(summary["bottleneck"].items()))
        text += f"; {name} takes {share(part)} of the critical path"
    return text + "."


def graph_screen(summary: Mapping[str, Any]) -> RenderableType:
    """Something that ``rich`` prints within 80 columns."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True, min_width=10)
    for name, text in _rows(summary):
        grid.add_row(name, Text(text))
    warnings = [Text(f"! {text}", style="yellow") for text in summary["warnings"]]
    head = Text(f"{summary['name']} · seed {summary['seed']}", style="dim", overflow="ellipsis", no_wrap=True)
    return Group(head, Text(graph_headline(summary), style="bold"), Text(), grid, *warnings)


def _owners(pool: Mapping[str, Any]) -> str:
    """Who holds most of a memory at its peak."""
    owners = sorted((pool.get("owners_at_peak") or {}).items(), key=lambda item: -item[1])
    texts = [f"{name} {share(size / pool['peak_bytes'])}" for name, size in owners[:3]]
    return f" ({', '.join(texts)})" if texts else ""


def _rows(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for number, (name, value) in enumerate(list(summary["bottleneck"].items())[:MOST]):
        yield "path" if not number else "", f"{name:<20}{share(value):>7} {'█' * round(value * BAR)}"
    for number, (name, stream) in enumerate(list(summary["streams"].items())[:MOST]):
        stalls = sorted(stream["stalls"].items(), key=lambda item: -item[1])
        waits = ", ".join(f"waits for {reason} {share(part)}" for reason, part in stalls[:2] if part > 0.005)
        yield "streams" if not number else "", f"{name:<20}{share(stream['busy_share']):>7} busy  {waits}"
    for number, (name, link) in enumerate(list(summary["links"].items())[:MOST]):
        yield "moved" if not number else "", f"{name:<20}{quantity(link['bytes'], 'bytes'):>10}"
    texts = [
        f"{name} {gibibytes(pool['peak_bytes'])} of {gibibytes(pool['capacity_bytes'])}{_owners(pool)}"
        for name, pool in summary["memory"].items()
        if pool.get("peak_bytes") and pool.get("capacity_bytes")
    ]
    if texts:
        yield "memory", "; ".join(texts)
    for place, drive in summary["storage"].items():
        life = f", {plain(drive['life_years'])} years to its endurance" if drive["life_years"] is not None else ""
        written = quantity(drive["written_bytes"], "bytes")
        yield place, f"{quantity(drive['read_bytes'], 'bytes')} read, {written} written{life}"
    if summary["tflops"]:
        yield "compute", f"{plain(summary['tflops'])} TFLOP/s"
    if summary["energy_joules"]:
        per = summary["joules_per_token"]
        tail = f", {plain(per)} J a token" if per is not None else ""
        yield "energy", f"{plain(summary['energy_joules'])} J of all that is owned{tail}"
    wall = "" if summary["wall_seconds"] is None else f" in {summary['wall_seconds']:,.2f} s"
    yield "simulated", f"{plain(summary['simulated_seconds'])} s{wall}; {summary['tasks']:,} tasks"
