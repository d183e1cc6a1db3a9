"""What a trace is like: rates, burstiness, lengths, and how much of the prompts a boundless prefix cache would hit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from hwsim.units import TICKS_PER_SECOND
from hwsim.workload.requests import Requests

PERCENTS = (1, 5, 10, 25, 50, 75, 90, 95, 99)


def statistics(chunks: Iterable[Requests], *, timed: bool = True) -> dict[str, Any]:
    """Figures of all requests together; those of times are None where the trace tells none.

    ``gap_cv``: standard deviation over mean of the gaps between arrivals (1 for Poisson); ``dispersion_Ns``:
    variance over mean of the counts in whole windows of N seconds; ``peak_over_mean_60s``: of those counts;
    ``rank_correlation``: Spearman's, of prompt and answer lengths; ``prefix_hit_ratio``: share of prefix ids seen
    before in the same place, ``prefix_hit_tokens``: the same in prompt tokens, under a cache without bounds.
    """
    parts = list(chunks)
    arrival = np.concatenate([part.arrival for part in parts]) / TICKS_PER_SECOND
    prompts = np.concatenate([part.input_tokens for part in parts])
    outputs = np.concatenate([part.output_tokens for part in parts])
    out: dict[str, Any] = {"requests": len(arrival)}
    out |= _times(arrival) if timed else dict.fromkeys(_times(np.zeros(0)))
    out["input_tokens"] = _lengths(prompts)
    out["output_tokens"] = _lengths(outputs)
    out["rank_correlation"] = rank_correlation(prompts, outputs)
    out |= _prefix_hits(parts, int(prompts.sum()))
    return out


def _times(arrival: np.ndarray) -> dict[str, float | None]:
    count = len(arrival)
    span = float(arrival[-1] - arrival[0]) if count else 0.0
    gaps = np.diff(arrival)
    minutes = _counts(arrival, span, 60.0)
    return {
        "span_s": span,
        "rate_per_s": (count - 1) / span if span else None,
        "gap_cv": float(gaps.std() / gaps.mean()) if count > 1 and gaps.mean() else None,
        "dispersion_1s": dispersion(arrival, 1.0),
        "dispersion_60s": dispersion(arrival, 60.0),
        "peak_over_mean_60s": float(minutes.max() / minutes.mean()) if minutes is not None else None,
    }


def _lengths(values: np.ndarray) -> dict[str, float]:
    points = np.percentile(values, PERCENTS)
    return {
        "mean": float(values.mean()),
        "std": float(values.std()),
        "min": int(values.min()),
        **{f"p{percent}": float(point) for percent, point in zip(PERCENTS, points, strict=True)},
        "max": int(values.max()),
        "total": int(values.sum()),
    }


def dispersion(arrival: np.ndarray, window: float) -> float | None:
    """Variance over mean of the counts in whole windows (s); None with fewer than two of them."""
    counts = _counts(arrival, float(arrival[-1] - arrival[0]) if len(arrival) else 0.0, window)
    return float(counts.var() / counts.mean()) if counts is not None else None


def _counts(arrival: np.ndarray, span: float, window: float) -> np.ndarray | None:
    """Over whole windows only."""
    windows = int(span // window)
    if windows < 2:
        return None
    counts = np.bincount(((arrival - arrival[0]) // window).astype(np.int64), minlength=windows)[:windows]
    return counts if counts.mean() else None


def rank_correlation(one: np.ndarray, two: np.ndarray) -> float | None:
    """Spearman's: the correlation of mean ranks; None where a column does not vary."""
    ranks = []
    for values in (one, two):
        _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
        ranks.append((np.cumsum(counts) - (counts - 1) / 2)[places])
    first, second = (rank - rank.mean() for rank in ranks)
    norm = float(np.sqrt((first * first).sum() * (second * second).sum()))
    return float((first * second).sum()) / norm if norm else None


def _prefix_hits(parts: list[Requests], prompt_tokens: int) -> dict[str, float]:
    blocks = sum(len(ids) for part in parts for ids in part.prefix_ids or ())
    if not blocks:
        return {}
    found = [hits for part in parts_hit(parts) for hits in part]
    return {"prefix_hit_ratio": sum(found) / blocks, "prefix_hit_tokens": sum(hit_tokens(parts)) / prompt_tokens}


def parts_hit(parts: list[Requests]) -> list[list[int]]:
    """Of each part, how many prefix ids of each request were seen before, each at the end of the same ids."""
    seen: set[int] = set()
    out: list[list[int]] = []
    for part in parts:
        out.append([])
        for ids in part.prefix_ids if part.prefix_ids is not None else [()] * len(part):
            chain = found = 0
            for key in ids:
                chain = hash((chain, key))
                if chain in seen:
                    found += 1
                else:
                    seen.add(chain)
            out[-1].append(found)
    return out


def hit_tokens(parts: list[Requests]) -> list[int]:
    """Prompt tokens of each request that a prefix cache without bounds would hold; a block ends with the prompt."""
    return [
        min(hits * part.prefix_block, prompt)
        for part, found in zip(parts, parts_hit(parts), strict=True)
        for hits, prompt in zip(found, part.input_tokens.tolist(), strict=True)
    ]
