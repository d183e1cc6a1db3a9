"""Coefficients by robust least squares of the logarithm of time: relative errors count alike, odd rows count less."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np

from hwsim.study.calibrate.sample import Sample

MOST_ROWS = 3000  # of a fit: beyond that the errors no longer change, the time does
SOFT = 0.05  # relative error beyond which a row counts linearly, not squared
STEP = 1e-3
MOST_STEPS = 60


def bounded(kind: type[Any], skip: tuple[str, ...] = ()) -> dict[str, Any]:
    """The coefficients of a law by name, with where they start and may go."""
    return {each.name: each.metadata for each in fields(kind) if "unit" in each.metadata and each.name not in skip}


def fit(sample: Sample, law: Any, rows: np.ndarray, *, only: tuple[str, ...] = (), most: int = MOST_ROWS) -> Any:
    """``law`` with the coefficients that fit these rows best; ``only`` some of them, from where they are."""
    from scipy.optimize import least_squares

    known = bounded(sample.kind, sample.fixed)
    names = [name for name in known if name in only] if only else [n for n in known if n not in sample.then]
    if len(rows) > most:
        rows = np.random.default_rng(0).permutation(rows)[:most]
    arguments, target = sample.take(rows), np.log(sample.seconds[rows])
    low, high = (np.log([known[name][end] for name in names]) for end in ("low", "high"))
    inside = 1e-6
    start = np.clip(np.log([getattr(law, name) for name in names]), low + inside, high - inside)

    def residuals(x: np.ndarray) -> np.ndarray:
        return np.log(sample.predict(_with(law, names, x), arguments)) - target

    found = least_squares(
        residuals,
        start,
        bounds=(low, high),
        loss="soft_l1",
        f_scale=SOFT,
        diff_step=STEP,
        max_nfev=MOST_STEPS,
    )
    return _with(law, names, found.x)


def _with(law: Any, names: list[str], x: np.ndarray) -> Any:
    return replace(law, **dict(zip(names, np.exp(x).tolist(), strict=True)))


def starting(kind: type[Any], device: dict[str, float]) -> Any:
    """A law on a device before any fit."""
    own = {each.name: device[each.name] for each in fields(kind) if "unit" not in each.metadata}
    return kind(**own, **{name: meta["start"] for name, meta in bounded(kind).items()})
