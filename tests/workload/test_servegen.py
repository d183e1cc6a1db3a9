"""The fitted clients of real services against the published figures that they were fitted on."""

from __future__ import annotations

import csv
import gzip
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from hwsim.units import parse
from hwsim.workload.clients import FOLDER, preset, presets
from hwsim.workload.statistics import statistics
from hwsim.workload.workload import Workload


def rows(data_dir: Path, name: str, what: str) -> list[dict[str, str]]:
    path = data_dir / "traces" / f"{name.replace('-', '_', 1)}_{what}.csv.gz"
    with gzip.open(path, "rt") as lines:
        return list(csv.DictReader(lines))


def median(pairs: list[tuple[float, float]]) -> float:
    """The weighted median of (value, weight)."""
    total, half = 0.0, sum([weight for _, weight in pairs]) / 2
    for value, weight in sorted(pairs):
        total += weight
        if total >= half:
            return value
    raise AssertionError("no values")


@pytest.mark.parametrize("name", presets())
def test_shares_and_gaps_are_those_of_the_service(name: str, data_dir: Path) -> None:
    """Busiest first; gamma or Weibull, whichever fits more of a client's requests; medians weighted by rate."""
    by: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows(data_dir, name, "clients"):
        by[row["client"]].append(row)
    weights = {client: sum([float(row["rate_rps"]) for row in found]) for client, found in by.items()}
    rates = [float(row["total_rate_rps"]) for row in rows(data_dir, name, "total_rate")]
    total, fitted = sum(rates), preset(name)  # of all clients, the quiet ones that were left out included
    order = sorted(weights, key=lambda client: -weights[client])
    assert len(fitted) == len(order)
    for client, found in zip(order, fitted, strict=True):
        assert found["share"] == pytest.approx(weights[client] / total, rel=0.03)
        kinds: dict[str, float] = defaultdict(float)
        for row in by[client]:
            kinds[row["distribution"]] += float(row["rate_rps"])
        kind = "Weibull" if "weibull" in found else "Gamma"
        assert kinds[kind] >= 0.4 * sum(kinds.values())
        column = "param1" if kind == "Weibull" else "interarrival_cv"
        pairs = [(float(row[column]), float(row["rate_rps"])) for row in by[client] if row["distribution"] == kind]
        assert found["weibull" if kind == "Weibull" else "cv"] == pytest.approx(median(pairs), rel=0.05), client
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    given = next(line.split(": ")[1] for line in text.splitlines() if line.startswith("rate:"))
    assert float(parse(given, "1/s")) == pytest.approx(sum(rates) / len(rates), rel=0.01)


@pytest.mark.parametrize("name", presets())
def test_lengths_of_the_busiest_clients(name: str, data_dir: Path) -> None:
    """Clients whose own lengths are published have these; the others have those pooled over all."""
    path = data_dir / "traces" / f"{name.replace('-', '_', 1)}_top_client_lengths.json.gz"
    with gzip.open(path, "rt") as file:
        published: dict[str, dict[str, dict[str, float]]] = json.load(file)
    fitted = preset(name)
    medians = defaultdict(int)
    for client in fitted:
        quantiles = client["input"]["quantiles"], client["output"]["quantiles"]
        medians[tuple([values[5] for values in quantiles])] += 1
    for lengths in published.values():
        assert medians[tuple([round(lengths[f"{side}_tokens"]["p50"]) for side in ("input", "output")])] >= 1


@pytest.mark.parametrize("name", presets())
def test_lengths_of_all_requests_together(name: str, data_dir: Path) -> None:
    """Mean lengths over all clients, weighted by rate as the published histogram is."""
    pooled: dict[str, float] = defaultdict(float)
    for row in rows(data_dir, name, "length_histogram"):
        pooled[row["field"]] += float(row["probability"]) * (float(row["bin_low"]) + float(row["bin_high"])) / 2
    found: dict[str, Any] = statistics(
        Workload.from_spec({"requests": 60_000, "clients": {"preset": name, "rate": "50 /s"}}).chunks(3)
    )
    for side in ("input", "output"):
        assert found[f"{side}_tokens"]["mean"] == pytest.approx(pooled[f"{side}_tokens"], rel=0.5), side
