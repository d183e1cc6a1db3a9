"""A synthetic workload with the statistics of a trace: figures that one may publish, and none of its rows.

Arrivals: gamma gaps whose rate changes in steps where the trace's counts vary more than such gaps do; lengths:
quantiles, with the rank correlation of prompt and answer; prefixes: groups whose members share a portion of their
prompts, the number of groups chosen so that a boundless cache hits the same share of tokens.  Simplification: what
depends on more than that (sessions, the hour of single lengths, popularity of prefixes) is not kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.units import TICKS_PER_SECOND
from hwsim.workload.drawn import drawn
from hwsim.workload.requests import Requests, joined
from hwsim.workload.statistics import hit_tokens, rank_correlation, statistics
from hwsim.workload.trace import Trace

LEAST_WINDOW, MOST_WINDOWS, FEWEST_WINDOWS = 60.0, 100, 8
PROBABILITIES = (0, 0.005, 0.01, 0.02, *(n / 20 for n in range(1, 20)), 0.97, 0.98, 0.99, 0.995, 0.999, 1)
MOST_FOR_PREFIXES = 20_000


def fitted(trace: Trace) -> tuple[dict[str, Any], dict[str, Any]]:
    """The ``workload:`` section that resembles the trace, and the statistics of the trace."""
    found = trace.statistics()
    timed = found["rate_per_s"] is not None
    rows = joined(list(trace.requests({}, timed=timed)))
    spec: dict[str, Any] = {"requests": len(rows)}
    spec["arrivals"] = _arrivals(rows.arrival) if timed else {"kind": "poisson", "rate": "1 /s"}
    for field in ("input_tokens", "output_tokens"):
        spec[field] = _lengths(getattr(rows, field))
    rank = rank_correlation(rows.input_tokens, rows.output_tokens)
    if rank is not None and abs(rank) >= 0.02:
        spec["correlation"] = round(rank, 3)
    if found.get("prefix_hit_tokens"):
        spec["prefix"] = _prefix(rows, spec, found["prefix_hit_tokens"])
    return spec, found


def regenerated(spec: dict[str, Any], seed: int = 0) -> dict[str, Any]:
    """The statistics of the synthetic workload."""
    return statistics(_chunks(spec, seed))


def _chunks(spec: dict[str, Any], seed: int = 0) -> Iterator[Requests]:
    return drawn("", spec, seed, Path())


def _rounded(value: float, digits: int = 4) -> float:
    return float(f"{value:.{digits}g}")


def _rate(value: float) -> str:
    return f"{value:.4g}/s"


def _arrivals(ticks: np.ndarray) -> dict[str, Any]:
    """Poisson or gamma at a steady rate, or gamma under rates in steps; on a grid where the trace's clock is coarse."""
    times = (ticks - ticks[0]) / TICKS_PER_SECOND
    span = float(times[-1])
    if not span:
        return {"kind": "poisson", "rate": "1 /s"}
    mean = len(times) / span
    grid = _grid(times)
    window = _nice(max(LEAST_WINDOW, span / MOST_WINDOWS), grid)
    windows = int(span // window)
    end = {"grid": f"{grid:g} s"} if grid else {}
    if windows < FEWEST_WINDOWS:
        return _steady(mean, _short_dispersion(times, np.array([mean]), span, grid)) | end
    counts = np.bincount((times // window).astype(np.int64), minlength=windows + 1).astype(np.float64)
    widths = np.full(len(counts), window)
    widths[-1] = max(span - windows * window, window / 10)
    rates = counts / widths
    own = _short_dispersion(times, rates, window, grid)
    whole = counts[:windows]
    total = float(whole.var() / whole.mean())
    if total <= 1.5 * own:
        return _steady(mean, _short_dispersion(times, np.array([mean]), span, grid)) | end
    # Counts vary by the rate and by chance; chance comes back when arrivals are drawn, so the rates keep the rest.
    kept = (1 - own / total) ** 0.5
    level = float(whole.mean()) / window
    steps = [
        _rate(max(level + (rate - level) * kept, 0.0))
        for rate in rates[: windows + (span - windows * window > window / 10)]
    ]
    burst = {} if abs(own - 1) < 0.06 else {"burstiness": _rounded(1 / own, 3)}
    return {"kind": "piecewise", "every": f"{window:g} s", "rates": steps} | burst | end


def _grid(times: np.ndarray) -> float:
    """The step of a coarse clock, on which many requests arrive at once (seconds; 0 for none)."""
    gaps = np.diff(times)
    apart = gaps[gaps > 0]
    if not len(apart) or len(apart) > 0.8 * len(gaps):
        return 0.0
    step = _rounded(float(np.median(apart)), 3)
    off = np.abs(apart / step - np.maximum(np.rint(apart / step), 1.0))
    return step if (off < 0.01).mean() > 0.99 else 0.0


def _steady(rate: float, dispersion: float) -> dict[str, Any]:
    if abs(dispersion - 1) < 0.06:
        return {"kind": "poisson", "rate": _rate(rate)}
    return {"kind": "gamma", "rate": _rate(rate), "cv": _rounded(dispersion**0.5, 3)}


def _nice(window: float, grid: float) -> float:
    """Whole minutes, or whole seconds of many minutes; a multiple of the grid."""
    step = max(60.0, grid)
    return (
        float(np.ceil(window / step - 1e-9) * step)
        if not grid or step % grid == 0
        else float(np.ceil(window / grid) * grid)
    )


def _short_dispersion(times: np.ndarray, rates: np.ndarray, window: float, grid: float) -> float:
    """Squared variation of the gaps in operational time; on a grid, dispersion of the counts in its cells."""
    places = np.minimum((times // window).astype(np.int64), len(rates) - 1)
    if grid:
        cells = int(times[-1] // grid) + 1
        counts = np.bincount((times / grid + 0.5).astype(np.int64), minlength=cells)[:cells]
        middle = np.minimum(((np.arange(cells) + 0.5) * grid // window).astype(np.int64), len(rates) - 1)
        expected = rates[middle] * grid
        busy = expected > 0
        return float((((counts - expected) ** 2)[busy] / expected[busy]).mean())
    before = np.concatenate([[0.0], np.cumsum(rates * window)])
    marks = before[places] + (times - places * window) * rates[places]
    gaps = np.diff(marks)
    return float(gaps.var() / gaps.mean() ** 2) if gaps.mean() else 1.0


def _lengths(values: np.ndarray) -> Any:
    """Quantiles with straight lines between them; one number where nothing varies."""
    if values.min() == values.max():
        return int(values[0])
    points = np.quantile(values, PROBABILITIES)
    return {
        "kind": "empirical",
        "probabilities": [_rounded(p, 6) for p in PROBABILITIES],
        "quantiles": [round(float(point)) for point in points],
    }


def _prefix(rows: Requests, spec: dict[str, Any], target: float) -> dict[str, Any]:
    """Who shares how much, and the number of groups that makes the shared tokens as many as in the trace."""
    hits = np.array(hit_tokens([rows]), dtype=np.float64)
    again = hits > 0
    share = float(again.mean())
    portion = float(hits[again].sum() / rows.input_tokens[again].sum())
    count = min(len(rows), MOST_FOR_PREFIXES)
    base = {key: value for key, value in spec.items() if key != "requests"} | {"requests": count}

    def ratio(portion: float, groups: int) -> float:
        prefix = {"share": share, "portion": portion, "groups": groups, "block": rows.prefix_block}
        found = statistics(_chunks(base | {"prefix": prefix}))
        return found.get("prefix_hit_tokens") or 0.0

    portion = min(1.0, portion * 1.1 + rows.prefix_block / 2 / float(rows.input_tokens.mean()))
    low, high = 1, max(count, 2)
    while high - low > 1 and high / low > 1.02:
        middle = round((low * high) ** 0.5)
        middle = min(max(middle, low + 1), high - 1)
        low, high = (middle, high) if ratio(portion, middle) > target else (low, middle)
    return {
        "share": f"{100 * share:.3g} %",
        "portion": f"{100 * portion:.3g} %",
        "groups": low,
        "block": rows.prefix_block,
    }
