"""Measured tables in front of the laws: what they hold is used as it is, what they lack comes from the law."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from hwsim.cost.efficiency import find
from hwsim.cost.table import GemmTable, tabled
from hwsim.errors import ScenarioError
from hwsim.hardware import System
from hwsim.hardware.find import find_device
from hwsim.scenario.load import load
from hwsim.scenario.run import run

GPU = next(iter(System.of({"node": "hgx-h100"}).groups.values())).node.gpu
HEAD = "gemm_dtype,m,n,k,latency_us"
SHAPES = ((6144, 4096), (4096, 4096), (28672, 4096), (4096, 14336))  # Llama 8B


def table(folder: Path, rows: list[str], head: str = HEAD, name: str = "h100_gemm_vllm-1.csv.gz") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(("\n".join([head, *rows]) + "\n").encode()))
    return path


def test_measured_times_are_used_as_they_are(tmp_path: Path) -> None:
    law = find(GPU)
    found = tabled(law, GPU, table(tmp_path, ["bfloat16,64,8192,8192,100.3", "bfloat16,128,8192,8192,201.3"]))
    assert isinstance(found.gemm, GemmTable)

    def seconds(m: int, n: int = 8192) -> float:
        return found.gemm.body(m, n, 8192, GPU.peak("bf16"), "bf16", n * 8192 * 2, 2).total

    assert seconds(64) == pytest.approx(99e-6) and seconds(128) == pytest.approx(200e-6)
    assert seconds(90) == pytest.approx((100.3 * 201.3) ** 0.5 * 1e-6, rel=0.02)
    for m, n in ((32, 8192), (256, 8192), (64, 8448)):  # outside, outside, another shape
        assert seconds(m, n) == law.gemm.body(m, n, 8192, GPU.peak("bf16"), "bf16", n * 8192 * 2, 2).total
    assert found.moe.body(64, 8, 2, 4096, 14336, 2, 2, GPU.peak("bf16")) == law.moe.body(
        64, 8, 2, 4096, 14336, 2, 2, GPU.peak("bf16")
    )


def test_experts_of_one_rank(tmp_path: Path) -> None:
    head = (
        "moe_dtype,num_tokens,hidden_size,inter_size,topk,num_experts,moe_tp_size,moe_ep_size,distribution,latency_us"
    )
    rows = ["bfloat16,512,4096,14336,2,8,2,1,balanced,900", "bfloat16,512,4096,14336,2,8,2,1,power_law_1.2,1100"]
    law = find(GPU)
    found = tabled(law, GPU, table(tmp_path, rows, head, "h100_moe_vllm-1.csv.gz"))
    shape = (512, 8, 2, 4096, 7168, 2, 2, GPU.peak("bf16"))
    assert found.moe.body(*shape).total == pytest.approx(900e-6)
    assert found.moe.body(*shape, "bf16", 2) == law.moe.body(*shape, "bf16", 2)


def test_a_scenario_names_its_table(tmp_path: Path) -> None:
    rows = [f"bfloat16,{m},{n},{k},{m * n * k / 2e7:.4f}" for n, k in SHAPES for m in (1, 2, 4, 8, 512, 1024, 2048)]
    spec = {
        "hwsim": 1,
        "name": "table",
        "model": {"like": "meta-llama/Llama-3.1-8B"},
        "system": {"node": "hgx-h100"},
        "workload": {
            "requests": 1,
            "arrivals": {"kind": "closed", "concurrency": 1},
            "input_tokens": 1024,
            "output_tokens": 2,
        },
    }
    cost = {"kind": "table", "data": str(table(tmp_path, rows))}
    plain, slow = (run(load({**spec, "serve": serve})) for serve in ({}, {"cost": cost}))
    extra = sum(1024 * n * k / 2e7 * 1e-3 for n, k in SHAPES) * 32
    assert slow.summary["ttft_ms"]["mean"] == pytest.approx(extra, rel=0.06)
    assert slow.summary["ttft_ms"]["mean"] > 5 * plain.summary["ttft_ms"]["mean"]
    assert "measured tables (h100_gemm_vllm-1.csv.gz)" in str(slow.manifest)


def test_bad_tables_are_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="no table of products or experts on H100-SXM"):
        tabled(find(GPU), GPU, tmp_path)
    with pytest.raises(ScenarioError, match="lacks a number or column"):
        tabled(find(GPU), GPU, table(tmp_path, ["bfloat16,64,8192,100"], "gemm_dtype,m,n,latency_us"))


def test_tables_are_of_one_device_alone(tmp_path: Path) -> None:
    path = table(tmp_path, ["bfloat16,64,8192,8192,100.3"])
    for other in ("H100-PCIe", {"like": "H100-SXM", "hbm": {"bandwidth": "5 TB/s"}}):
        with pytest.raises(ScenarioError, match="no table of products or experts on H100"):
            tabled(find(GPU), find_device(other, "gpu"), path)
