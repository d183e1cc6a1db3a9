"""Measured files of every client beside a run: equal names compare, other definitions are converted or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hwsim.cli import main
from hwsim.errors import ScenarioError
from hwsim.study.bench import read_bench
from hwsim.study.compare import compare

SUMMARY: dict[str, Any] = {
    "ttft_ms": {"mean": 100.0, "p50": 90.0, "p99": 400.0},
    "tpot_ms": {"mean": 10.0, "p50": 10.0},
    "itl_ms": {"mean": 10.0, "p99": 30.0},
    "e2e_ms": {"mean": 1000.0},
    "queue_wait_ms": {"mean": 80.0},
    "request_throughput": 2.0,
    "output_throughput": 200.0,
    "memory": {"kv": {"capacity_bytes": 100.0, "peak_bytes": 50.0}},
    "bottleneck": {"hbm": 0.8, "host": 0.05, "idle": 0.15},
}


def written(folder: Path, content: Any, name: str = "bench.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def figures(path: Path) -> dict[str, float]:
    return {name: value for name, (value, _) in read_bench(path).figures.items()}


def test_vllm(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {"mean_ttft_ms": 50, "median_tpot_ms": 9, "p99_itl_ms": 20, "mean_e2el_ms": 900, "output_throughput": 210.0},
    )
    assert figures(path) == {
        "ttft.mean": 50,
        "tpot.p50": 9,
        "itl.p99": 20,
        "e2e.mean": 900,
        "throughput.output": 210,
    }


def test_chunked_gaps_of_vllm_are_refused_by_name(tmp_path: Path) -> None:
    record = {"mean_ttft_ms": 50, "mean_itl_ms": 20, "itls": [[0.02] * 50], "total_output_tokens": 101, "completed": 1}
    found = read_bench(written(tmp_path, record))
    assert "itl.mean" in found.refused and "itl.mean" not in found.figures


def test_the_newest_line_of_sglang(tmp_path: Path) -> None:
    lines = [{"mean_ttft_ms": value, "mean_e2e_latency_ms": 5.0, "total_throughput": 7.0} for value in (1, 2)]
    path = written(tmp_path, "\n".join(map(json.dumps, lines)), "bench.jsonl")
    assert read_bench(path).tool.startswith("SGLang")
    assert figures(path) == {"ttft.mean": 2, "e2e.mean": 5, "throughput.total": 7}


def test_aiperf_calls_tpot_inter_token_latency(tmp_path: Path) -> None:
    block = {"time_to_first_token": {"unit": "ms", "avg": 50}, "inter_token_latency": {"unit": "ms", "p99": 12}}
    block |= {"request_latency": {"unit": "s", "avg": 1.5}, "inter_chunk_latency": {"unit": "ms", "avg": 3}}
    found = read_bench(written(tmp_path, block))
    assert {name: value for name, (value, _) in found.figures.items()} == {
        "ttft.mean": 50,
        "tpot.p99": 12,
        "e2e.mean": pytest.approx(1500),
    }
    assert "inter_chunk_latency" in found.refused


def test_aiperf_records(tmp_path: Path) -> None:
    records = [{"metrics": {"time_to_first_token": {"value": value, "unit": "ms"}}} for value in (10, 20, 30)]
    path = written(tmp_path, "\n".join(map(json.dumps, records)), "profile_export.jsonl")
    assert figures(path)["ttft.mean"] == pytest.approx(20) and figures(path)["ttft.p50"] == pytest.approx(20)


def test_guidellm_counts_the_first_token(tmp_path: Path) -> None:
    def block(mean: float) -> dict[str, Any]:
        return {"successful": {"mean": mean, "median": mean, "percentiles": {"p99": mean}}}

    metrics = {"time_per_output_token_ms": block(9.0), "inter_token_latency_ms": block(10.0)}
    metrics |= {"request_latency": block(1.25), "requests_per_second": block(2.0)}
    bench = read_bench(written(tmp_path, {"benchmarks": [{"metrics": metrics}]}))
    lines = {line.metric: line for line in compare(SUMMARY, bench)}
    assert lines["e2e.mean"].measured == pytest.approx(1250)
    assert lines["tpot with the first token"].simulated == pytest.approx(1000.0 * 2 / 200)
    assert "includes the first token" in " ".join(bench.refused.values())
    assert "time_per_output_token p99" in bench.refused


def test_csv_with_units(tmp_path: Path) -> None:
    path = written(tmp_path, "metric,value,unit\nttft.p99,0.5,s\nthroughput.output,150,tokens/s\n", "m.csv")
    assert figures(path) == {"ttft.p99": pytest.approx(500), "throughput.output": 150}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("metric,value,unit\nttft.p98x,1,s\nttft.p99,1,GB\n", "did you mean"),
        ("metric,value,unit\nttft.p99,1,GB\n", "wrong unit"),
        ("", "no result file"),
        ("{}", "no result file"),
        ('{"mean_ttft_ms": null}', "holds no figures"),
    ],
)
def test_bad_files(tmp_path: Path, content: str, says: str) -> None:
    with pytest.raises(ScenarioError, match=says):
        read_bench(written(tmp_path, content))


def test_causes_come_from_what_the_run_says(tmp_path: Path) -> None:
    bench = read_bench(written(tmp_path, {"mean_ttft_ms": 50, "mean_tpot_ms": 14, "output_throughput": 150.0}))
    causes = {line.metric: line.cause for line in compare(SUMMARY, bench)}
    assert causes["ttft.mean"].startswith("queue") and causes["tpot.mean"].startswith("decode step")
    assert "ttft (+100%)" in causes["throughput.output"] and "tpot (-29%)" in causes["throughput.output"]
    full = {**SUMMARY, "memory": {"kv": {"capacity_bytes": 100.0, "peak_bytes": 99.0}}}
    assert compare(full, bench)[0].cause.startswith("KV room")
    hosted = {**SUMMARY, "bottleneck": {"host": 0.4, "hbm": 0.4, "idle": 0.2}}
    assert any(line.cause.startswith("host time: 50%") for line in compare(hosted, bench))


def test_a_run_compared_with_its_own_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    quick = ["-m", "Llama-3.1-8B", "-n", "dgx-h100", "--rate", "5/s", "--input", "64", "--output", "16"]
    assert main(["run", *quick, "--requests", "20", "-o", "r", "--report", "off"]) == 0
    assert main(["export", "r", "--to", "vllm", "-o", "measured.json"]) == 0
    capsys.readouterr()
    assert main(["compare", "r", "--measured", "measured.json", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert len(data["lines"]) > 10 and all(abs(line["error"]) < 1e-9 for line in data["lines"])
    assert main(["compare", "r"]) == 2


def test_a_figure_lies_in_the_interval_of_its_kind(tmp_path: Path) -> None:
    summary = SUMMARY | {"intervals": {"ttft.p50": {"sampling": None, "model": [45.0, 180.0]}}}
    path = written(tmp_path, {"mean_ttft_ms": 50, "median_tpot_ms": 9})
    found = {line.metric: line for line in compare(summary, read_bench(path))}
    assert (found["ttft.mean"].low, found["ttft.mean"].high) == (50.0, 200.0)
    assert found["tpot.p50"].low is None
