"""The summary against definitions computed the plain way, and what it says when figures are missing."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from hwsim.errors import ScenarioError
from hwsim.metrics import registry
from hwsim.metrics.assertion import Assertion, problems
from hwsim.metrics.digest import digest
from hwsim.metrics.summary import misses, summary

from .synthetic import synthetic

SLO = {"ttft_s": 0.1, "tpot_s": 0.0085, "attainment": 0.9}


def test_latencies_have_the_definitions_of_the_field() -> None:
    facts, tables, gaps = synthetic(300)
    found = summary(facts, tables)
    table = tables["requests"]
    ttft = (table["first_token_s"] - table["arrival_s"]) * 1e3
    many = table["output_tokens"] > 1
    tpot = ((table["finish_s"] - table["first_token_s"])[many] / (table["output_tokens"][many] - 1)) * 1e3
    assert np.count_nonzero(~many) > 0
    for name, values in (
        ("ttft_ms", ttft),
        ("tpot_ms", tpot),
        ("itl_ms", gaps * 1e3),
        ("e2e_ms", (table["finish_s"] - table["arrival_s"]) * 1e3),
    ):
        figures = found[name]
        assert figures["mean"] == pytest.approx(np.mean(values), rel=1e-9)
        assert figures["std"] == pytest.approx(np.std(values), rel=1e-7)
        assert figures["max"] == pytest.approx(np.max(values), rel=1e-9)
        for share in (50, 90, 95, 99):
            assert figures[f"p{share}"] == pytest.approx(np.percentile(values, share), rel=1e-9)


def test_counts_rates_and_slo() -> None:
    facts, tables, _ = synthetic(400, rejected=3, slo=SLO)
    found = summary(facts, tables)
    table = tables["requests"]
    assert found["requests"] == {"arrived": 400, "completed": 397, "rejected": 3, "unfinished": 0}
    seconds = np.nanmax(table["finish_s"]) - table["arrival_s"][0]
    assert found["request_throughput"] == pytest.approx(397 / seconds)
    assert found["output_throughput"] == pytest.approx(np.sum(table["output_tokens"]) / seconds)
    good = 0
    for i in range(400):
        n = int(table["output_tokens"][i])
        tpot = (table["finish_s"][i] - table["first_token_s"][i]) / (n - 1) if n > 1 else 0.0
        late = table["first_token_s"][i] - table["arrival_s"][i]
        good += table["status"][i] == "completed" and late <= 0.1 and tpot <= 0.0085
    assert 0 < good < 397
    assert found["slo_attainment"] == good / 400
    assert found["goodput"] == pytest.approx(good / seconds)
    assert any("3 of 400 requests were rejected" in w and "9000 tokens" in w for w in found["warnings"])


def test_limits_themselves_are_kept() -> None:
    facts, tables, _ = synthetic(50)
    table = tables["requests"]
    worst = float(np.max(np.rint((table["first_token_s"] - table["arrival_s"]) * 1e12))) / 1e12
    facts["slo"] = {"ttft_s": worst}
    assert summary(facts, tables)["slo_attainment"] == 1.0
    facts["slo"] = {"ttft_s": worst - 1e-12}
    assert summary(facts, tables)["slo_attainment"] == 49 / 50


def test_unfinished_requests_miss_and_stretch_the_time() -> None:
    facts, tables, _ = synthetic(200, horizon_s=10.0, slo={"ttft_s": 1e6})
    found = summary(facts, tables)
    counts = found["requests"]
    assert counts["unfinished"] > 0
    assert counts["completed"] + counts["unfinished"] == 200
    assert found["slo_attainment"] == counts["completed"] / 200
    seconds = facts["simulated_seconds"] - tables["requests"]["arrival_s"][0]
    assert found["request_throughput"] == pytest.approx(counts["completed"] / seconds)


def test_energy_and_cost_count_everything_owned() -> None:
    facts, tables, _ = synthetic(100)
    found, seconds = summary(facts, tables), facts["simulated_seconds"]
    dynamic = (0.75 * 1.2e14 + 122 * 1.9e12) * seconds * 1e-12
    assert found["energy_joules"] == pytest.approx(70 * 8 * seconds + dynamic)
    assert found["cost_usd"] == pytest.approx(2.5 * 8 * seconds / 3600)
    outputs = int(np.sum(tables["requests"]["output_tokens"]))
    assert found["usd_per_million_output_tokens"] == pytest.approx(found["cost_usd"] / outputs * 1e6)
    assert found["mfu"] == pytest.approx(1.2e14 / 989.4e12)
    facts["amounts"] = {"gpu.tensor": 1e16 * seconds, "gpu.hbm": 0.0}
    assert summary(facts, tables)["energy_joules"] == pytest.approx((700 + 7 * 70) * seconds)


def test_what_nobody_can_give_is_null_with_a_warning() -> None:
    facts, tables, _ = synthetic(20)
    facts |= {"energy": {}, "prices": {}, "capacities": {}, "bound": {}, "slo": None}
    found = summary(facts, tables)
    for name in (
        "energy_joules",
        "joules_per_output_token",
        "cost_usd",
        "usd_per_million_output_tokens",
        "mfu",
    ):
        assert found[name] is None
    assert found["mbu"] is None and found["goodput"] is None and found["slo_attainment"] is None
    assert found["bound"] == {"tpot_ms": None, "by": None}
    said = " ".join(found["warnings"])
    for word in ("energy", "cost", "mfu", "bound", "goodput", "p99 of ttft"):
        assert word in said
    json.dumps(found, allow_nan=False)


def test_a_run_in_which_nothing_completes() -> None:
    facts, tables, _ = synthetic(5, horizon_s=0.0)
    found = summary(facts, tables)
    assert found["requests"]["unfinished"] == 5
    assert found["ttft_ms"]["p99"] is None and found["request_throughput"] is None
    assert any("no request completed" in w for w in found["warnings"])


def test_overload_is_said_and_a_calm_run_is_not_accused() -> None:
    facts, tables, _ = synthetic(600, rate=60.0, max_rows=16)
    assert any(w.startswith("overloaded") for w in summary(facts, tables)["warnings"])
    facts, tables, _ = synthetic(600, rate=3.0)
    assert not any(w.startswith("overloaded") for w in summary(facts, tables)["warnings"])


def test_steady_window_leaves_out_warm_up_and_drain() -> None:
    facts, tables, _ = synthetic(600)
    steady = summary(facts, tables)["steady"]
    arrivals = tables["requests"]["arrival_s"]
    assert arrivals[0] < steady["from_s"] < steady["to_s"] == arrivals[-1]


def test_shares_of_time_add_up() -> None:
    facts, tables, _ = synthetic(300, replicas=2)
    shares = summary(facts, tables)["bottleneck"]
    assert sum(shares.values()) == pytest.approx(1.0)
    assert min(shares.values()) >= 0


def test_digest_is_that_of_the_logical_content() -> None:
    facts, tables, _ = synthetic(60)
    found = summary(facts, tables)
    again = {name: dict(reversed(table.items())) for name, table in reversed(tables.items())}
    again["requests"]["input_tokens"] = again["requests"]["input_tokens"].astype(np.int32)
    again["requests"]["status"] = np.array(again["requests"]["status"])
    facts["wall_seconds"] = 99.0
    assert summary(facts, again)["digest"] == found["digest"]
    again["schedule"] = {"step": [1]}
    assert digest(found, again) == found["digest"]
    changed = {
        **tables,
        "requests": {**tables["requests"], "input_tokens": tables["requests"]["input_tokens"] + 1},
    }
    assert digest(found, changed) != found["digest"]
    assert digest({**found, "seed": 8}, tables) != found["digest"]


# -- names and conditions ------------------------------------------------------------------------------------------


def test_every_metric_reads_a_number_from_a_full_summary() -> None:
    facts, tables, _ = synthetic(200, slo=SLO)
    facts["fleet"] = {
        "gpu_hours": 0.5,
        "powered_share": 0.5,
        "requests_moved": 3,
        "started": 1,
        "stopped": 2,
        "failed": 0,
    }
    facts["mapping"] = {"mapped_pages": 9, "reused_share": 0.5, "waited_s": 0.1}
    found = summary(facts, tables)
    for name, metric in registry.items():
        assert metric.unit and metric.definition and metric.better in ("lower", "higher")
        assert metric.read(found) is not None, name
    assert registry.find("memory.kv.peak").read(found) == found["memory"]["kv"]["peak_bytes"]
    assert registry.find("bottleneck.hbm").read(found) == found["bottleneck"]["hbm"]


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("ttft.p99 <= 2 s", True),
        ("ttft.p99 <= 2 us", False),
        ("throughput.request>=1/s", True),
        ("tpot.p50 < 1 min", True),
        ("requests.completed == 200", True),
        ("requests.completed > 200", False),
        ("slo.attainment >= 0 %", True),
        ("memory.gpu.peak < 80 GiB", True),
    ],
)
def test_conditions(text: str, holds: bool) -> None:
    facts, tables, _ = synthetic(200, slo=SLO)
    found = summary(facts, tables)
    assert Assertion.parse(text).holds(found) is holds
    assert bool(misses(found, [text])) is not holds


def test_a_miss_says_what_was_found() -> None:
    facts, tables, _ = synthetic(200, slo={"ttft_s": 1e-6, "attainment": 0.95})
    facts["prices"] = None
    found = summary(facts, tables)
    said = misses(found, [["ttft.p99", "<=", "1 us"], "cost.usd < 1 usd"], slo=True)
    assert said[0].startswith("ttft.p99 <= 1 us: it is ") and said[0].endswith("ms")
    assert "no value" in said[1]
    assert said[2] == "slo: 0 of the requests keep every limit, wanted 0.95"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ttf.p99 <= 2 s", "did you mean ttft.p99"),
        ("ttft.p98 <= 2 s", "unknown metric"),
        ("ttft.p99 <= 2", "no unit"),
        ("ttft.p99 <= 2 GB", "wrong unit"),
        ("ttft.p99", "is not a condition"),
        ("__import__('os').system('x') <= 2 s", "is not a condition"),
        ("ttft.p99 <= " + "9" * 400, "is not a condition"),
    ],
)
def test_bad_conditions_are_told(text: str, says: str) -> None:
    with pytest.raises(ScenarioError, match=says):
        Assertion.parse(text)
    assert len(problems([text, "mfu > 0", text])) == 2


def test_all_figures_of_the_schema_are_there() -> None:
    facts, tables, _ = synthetic(120, slo=SLO)
    found: dict[str, Any] = summary(facts, tables)
    for name in [
        "schema",
        "name",
        "seed",
        "digest",
        "requests",
        "ttft_ms",
        "tpot_ms",
        "itl_ms",
        "e2e_ms",
        "request_throughput",
        "output_throughput",
        "total_token_throughput",
        "output_throughput_per_gpu",
        "output_throughput_per_user",
        "goodput",
        "slo_attainment",
        "simulated_seconds",
        "wall_seconds",
        "steps",
        "stretches",
        "events",
        "memory",
        "bottleneck",
        "bound",
        "mfu",
        "mbu",
        "gpus_owned",
        "gpus_used",
        "energy_joules",
        "joules_per_output_token",
        "cost_usd",
        "usd_per_million_output_tokens",
        "steady",
        "warnings",
    ]:
        assert found[name] is not None, name
    assert set(found["ttft_ms"]) == {"mean", "std", "p50", "p90", "p95", "p99", "max"}
    assert all(math.isfinite(value) for value in found["itl_ms"].values())
