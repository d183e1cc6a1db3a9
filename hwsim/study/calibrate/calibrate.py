"""Fit every law that the tables of one device say something about; errors on families that no fit saw."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.cost.efficiency.build import GRAPH_LAUNCH, L2_UNKNOWN
from hwsim.hardware import Device
from hwsim.study.calibrate.fit import MOST_ROWS, fit, starting
from hwsim.study.calibrate.ops import collective, registry
from hwsim.study.calibrate.sample import Sample
from hwsim.study.calibrate.score import Score, score, spread

LEAST_FAMILIES = 6  # with fewer none is left out: the fit would know too little
ROWS_AGAIN = 1000  # rows of the second fit, on a random draw of rows instead of families


@dataclass(frozen=True)
class Fitted:
    """One law: where its rows came from, its coefficients, and errors by case on families and on rows left out."""

    sample: Sample
    law: Any
    families: dict[str, Score]
    rows: dict[str, Score]
    spread: float


def samples_of(paths: Iterable[Path], device: Device, stack: str) -> list[Sample]:
    """All samples of a device: of tables that measure the same, those of the asked stack."""
    found: dict[tuple[str, str], Sample] = {}
    tables = [registry.read(path) for path in paths]
    for table in sorted(tables, key=lambda each: (each.software != stack, each.path.name)):
        for sample in registry.samples(table, device):
            found.setdefault((sample.section, sample.part), sample)
    return list(found.values())


def calibrate(sample: Sample, device: Device) -> Fitted:
    """Fit one law on the families that the split leaves in; report the others."""
    usable = np.ones(len(sample.seconds), bool) if sample.fitted is None else sample.fitted
    left_out = sample.held & usable
    if len(np.unique(sample.family[usable])) < LEAST_FAMILIES:
        left_out = np.zeros(len(usable), bool)
    train = np.flatnonzero(usable & ~left_out)
    law = _solve(sample, train, device, None)
    predicted = sample.predict(law, sample.arguments)
    drawn = np.random.default_rng(1).random(len(usable)) < 0.2
    again = _solve(sample, np.flatnonzero(usable & ~drawn), device, law)
    on_rows = usable & drawn
    other = sample.predict(again, sample.take(on_rows)) if on_rows.any() else np.zeros(0)
    cases = sample.cases or {"": usable}
    families = {
        name: score(predicted[mask & left_out], sample.seconds[mask & left_out]) for name, mask in cases.items()
    }
    rows = {name: score(other[mask[on_rows]], sample.seconds[on_rows][mask[on_rows]]) for name, mask in cases.items()}
    seen = left_out if left_out.sum() >= 5 else usable
    return Fitted(sample, law, families, rows, spread(predicted[seen], sample.seconds[seen]))


def _solve(sample: Sample, rows: np.ndarray, device: Device, near: Any) -> Any:
    if sample.section == "collective":
        return collective.fit_curves(sample, rows)
    law = near if near is not None else starting(sample.kind, facts(device))
    most = ROWS_AGAIN if near is not None else MOST_ROWS
    if sample.first is None:
        return fit(sample, law, rows, most=most)
    law = fit(sample, law, rows[sample.first[rows]], most=most)
    return (
        fit(sample, law, rows[~sample.first[rows]], only=sample.then, most=most) if (~sample.first[rows]).any() else law
    )


def facts(device: Device) -> dict[str, float]:
    """What laws take from a device beside its peaks."""
    return {
        "sms": device.sms,
        "bandwidth": device.hbm_bandwidth,
        "l2": device.get("l2.capacity", L2_UNKNOWN) or L2_UNKNOWN,
        "launch": GRAPH_LAUNCH,
    }


def run(
    paths: Iterable[Path], device: Device, stack: str, progress: Callable[[str], None] = lambda text: None
) -> list[Fitted]:
    """Fit all laws of a device."""
    found = []
    for sample in samples_of(paths, device, stack):
        progress(f"{device.name} {sample.section} {sample.part}: {len(sample.seconds):,} rows")
        found.append(calibrate(sample, device))
    return found
