"""The key figures of a run as tiles: name, value with unit, and a line beneath."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from hwsim.view._numbers import gibibytes, milliseconds, plain, quantity, share, usd
from hwsim.view._words import bound_name


class Tile(NamedTuple):
    """``kind`` is ``good``, ``bad`` or empty."""

    what: str
    value: str
    unit: str
    more: str
    kind: str = ""


def tiles(summary: Mapping[str, Any]) -> Iterator[Tile]:
    """The tiles in the order in which one reads them."""
    counts = summary["requests"]
    yield Tile(
        "Throughput",
        plain(summary["request_throughput"]),
        "requests/s",
        f"{counts['completed']:,} of {counts['arrived']:,} completed",
        "bad" if counts["completed"] < 0.95 * counts["arrived"] else "",
    )
    per_gpu = summary["output_throughput_per_gpu"]
    more = f"{plain(per_gpu)} per GPU, {plain(summary['output_throughput_per_user'])} per user"
    yield Tile("Output tokens", plain(summary["output_throughput"]), "tokens/s", more)
    for key, name, main, rest in (
        ("ttft_ms", "TTFT", "p99", "p50"),
        ("tpot_ms", "TPOT", "p50", "p99"),
        ("itl_ms", "ITL", "p99", "p50"),
        ("e2e_ms", "End to end", "p50", "p99"),
    ):
        figures = summary[key]
        more = f"{rest} {milliseconds(figures[rest])}, mean {milliseconds(figures['mean'])}"
        yield Tile(f"{name} {main}", *_split(milliseconds(figures[main])), more)
    yield from _objective(summary)
    yield from _memory(summary)
    yield from _bound(summary)
    joules, energy = summary["joules_per_output_token"], summary["energy_joules"]
    yield Tile("Energy", *_split(quantity(joules, "J")), f"per output token; {quantity(energy, 'J')} in all")
    yield Tile(
        "Cost",
        usd(summary["usd_per_million_output_tokens"]),
        "",
        f"per million output tokens, {summary['gpus_owned']} GPUs owned",
    )


def _split(text: str) -> tuple[str, str]:
    value, _, unit = text.partition(" ")
    return value, unit


def _objective(summary: Mapping[str, Any]) -> Iterator[Tile]:
    slo = summary.get("slo")
    if not slo:
        return
    kept = summary["slo_attainment"]
    kind = "" if kept is None else "good" if kept >= slo["attainment"] else "bad"
    more = f"wanted {share(slo['attainment'])}; goodput {plain(summary['goodput'])} /s"
    yield Tile("SLO kept", *_split(share(kept)), more, kind)


def _memory(summary: Mapping[str, Any]) -> Iterator[Tile]:
    kv, gpu = summary["memory"].get("kv") or {}, summary["memory"].get("gpu") or {}
    if not kv.get("capacity_bytes"):
        return
    more = f"of {gibibytes(kv['capacity_bytes'])}"
    if gpu.get("capacity_bytes"):
        more += f"; GPU {gibibytes(gpu['peak_bytes'])} of {gibibytes(gpu['capacity_bytes'])}"
    yield Tile("KV pool at its peak", *_split(share(kv["peak_bytes"] / kv["capacity_bytes"])), more)


def _bound(summary: Mapping[str, Any]) -> Iterator[Tile]:
    shares = {name: value for name, value in summary["bottleneck"].items() if name != "idle"}
    if any(shares.values()):
        name = max(shares, key=lambda key: shares[key])
        more = f"of the time; MFU {share(summary['mfu'])}, MBU {share(summary['mbu'])}"
        title = f"{bound_name(name)}-bound"
        yield Tile(title[0].upper() + title[1:], *_split(share(shares[name])), more)
    bound, found = summary["bound"], summary["tpot_ms"]["p50"]
    if bound.get("tpot_ms") is not None and found:
        least = f"{bound_name(str(bound['by']))} allows {plain(1e3 / bound['tpot_ms'])}"
        more = f"{plain(1e3 / found)} tokens/s per user; {least}"
        yield Tile("Of what is possible", *_split(share(bound["tpot_ms"] / found)), more)
