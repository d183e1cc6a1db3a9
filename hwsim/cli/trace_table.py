"""The statistics of a trace as a table for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TIMES = {
    "span_s": ("duration", "s"),
    "rate_per_s": ("rate", "requests/s"),
    "gap_cv": ("gaps, standard deviation / mean", "1 is Poisson"),
    "dispersion_1s": ("counts per second, variance / mean", "1 is Poisson"),
    "dispersion_60s": ("counts per minute, variance / mean", "1 is Poisson"),
    "peak_over_mean_60s": ("busiest minute / mean minute", ""),
}
_COLUMNS = ("mean", "std", "min", "p5", "p25", "p50", "p75", "p90", "p95", "p99", "max")


def lines(facts: Mapping[str, Any]) -> list[str]:
    """One line per figure, then the lengths as a table."""
    out = []
    if "trace" in facts:
        out += [f"{facts['trace']} ({facts['format']})", ""]
    out.append(_line("requests", f"{facts['requests']:,}", ""))
    out += [_line(name, number(facts[key]), note) for key, (name, note) in _TIMES.items()]
    out += ["", f"{'tokens':<8}" + "".join(f"{name:>9}" for name in _COLUMNS)]
    for side in ("input", "output"):
        lengths = facts[f"{side}_tokens"]
        out.append(f"{side:<8}" + "".join(f"{number(lengths[name]):>9}" for name in _COLUMNS))
    out += ["", _line("rank correlation of input and output", number(facts["rank_correlation"]), "")]
    if "prefix_hit_ratio" in facts:
        out.append(_line("prefix hits, cache without bounds", f"{facts['prefix_hit_ratio']:.4f}", "of prefix ids"))
        out.append(_line("", f"{facts['prefix_hit_tokens']:.4f}", "of prompt tokens"))
    out += [f"{count:,} {text}" for text, count in facts.get("remarks", {}).items()]
    return out


def _line(name: str, value: str, note: str) -> str:
    return f"{name:<38}{value:>12}  {note}".rstrip()


def number(value: float | None) -> str:
    """Four digits, and whole numbers with their commas; a dash for what is not known."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
