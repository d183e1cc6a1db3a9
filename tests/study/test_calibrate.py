"""Fits find the coefficients that made the data, families stay out of them, bad tables are refused by row."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from hwsim.cost.efficiency import coefficients, find
from hwsim.errors import ScenarioError
from hwsim.hardware.find import find_device
from hwsim.study.calibrate.calibrate import calibrate
from hwsim.study.calibrate.folder import calibrate_folder
from hwsim.study.calibrate.local.disk import measure_disk
from hwsim.study.calibrate.local.host import measure_copies, measure_products
from hwsim.study.calibrate.local.machine import Machine, document
from hwsim.study.calibrate.ops import registry
from hwsim.study.calibrate.sample import families, held
from hwsim.study.suites import kernels

pytest.importorskip("scipy")


def products(path: Path, *, unit: float = 1e6, change: dict[int, str] | None = None) -> Path:
    """A table of bf16 products as the shipped H100 law has them."""
    law = find(find_device("H100-SXM", "gpu")).gemm.kernel("bf16")
    lines = ["kernel_source,gemm_dtype,m,n,k,latency_us"]
    for n in (128, 1024, 2048, 4096, 6144, 14336):
        for k in (256, 1024, 2048, 4096, 8192):
            for m in (1, 16, 64, 128, 300, 1024, 4096, 8192):
                time = law.seconds(m, n, k, 989e12, n * k * 2.0, 2, 6) * unit
                lines.append(f"x,bfloat16,{m},{n},{k},{time:.6g}")
    for row, text in (change or {}).items():
        lines[row] = text
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


def test_a_fit_finds_the_law_that_made_the_data(tmp_path: Path) -> None:
    device = find_device("H100-SXM", "gpu")
    table = registry.read(products(tmp_path / "h100_gemm_vllm-1.0.csv.gz"))
    (sample,) = registry.samples(table, device)
    fitted = calibrate(sample, device)
    assert fitted.families[""].n and fitted.families[""].median < 0.02 and fitted.families[""].p90 < 0.08
    assert fitted.rows[""].median < 0.03 and fitted.spread < 0.05
    truth = find(device).gemm.kernel("bf16")
    assert fitted.law.memory == pytest.approx(truth.memory, rel=0.1)


def test_the_split_is_by_whole_families_and_never_changes() -> None:
    n, k = (np.repeat(np.array(side), 3) for side in ([4096.0, 1024.0, 6144.0, 128.0], [4096.0, 512.0, 2048.0, 64.0]))
    names = families(n, k)
    left_out = held(names)
    assert names[0] == "4096x4096" and all(len(set(left_out[i : i + 3])) == 1 for i in (0, 3, 6, 9))
    many = families(np.arange(3000.0), np.arange(3000.0))
    assert 0.17 < held(many).mean() < 0.23
    assert (
        held(np.array(["128x64", "4096x4096", "1024x512"])).tolist()
        == held(np.array(["1024x512", "128x64", "4096x4096"]))[[1, 2, 0]].tolist()
    )


def test_a_file_is_written_whole_and_read_back(tmp_path: Path) -> None:
    products(tmp_path / "h100_gemm_vllm-1.0.csv.gz")
    (result,) = calibrate_folder(tmp_path, out=tmp_path / "out", source="made up")
    mapping = yaml.safe_load(result.path.read_text())
    part = mapping["gemm"]["bf16"]
    assert part["status"] == "FIT" and "made up" in part["source"] and "median" in part["families"]
    efficiency = coefficients.read(result.path, find_device("H100-SXM", "gpu"))
    assert efficiency.sections["gemm"] == "H100-SXM" and efficiency.statuses["gemm.bf16"] == "FIT"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("h100_gemm_vllm-1.csv", "gemm_dtype,m,n,latency_us\nbfloat16,1,2,3\n", "no column k"),
        ("h100_gemm_vllm-1.csv", "", "the file is empty"),
        ("h100_gemm_vllm-1.csv", "gemm_dtype,m,n,k,latency_us\n", "no rows"),
        ("h100_gemm_vllm-1.csv", "gemm_dtype,m,n,k,latency_us\nbfloat16,1,2\n", "cannot be read to its end"),
        (
            "h100_gemm_vllm-1.csv",
            "gemm_dtype,m,n,k,latency_us\nbfloat16,1,2,3,4\nbfloat16,1,2,3,nan\nbfloat16,1,2,x,4\n",
            "latency_us is not a positive number; got row 3: nan",
        ),
        ("nosuch9_gemm_vllm-1.csv", "gemm_dtype,m,n,k,latency_us\nbfloat16,1,2,3,4\n", "nosuch9"),
        ("whatever.csv", "a,b\n1,2\n", "no table of measured kernels"),
    ],
)
def test_bad_tables_are_refused_and_nothing_is_written(tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ScenarioError, match=says):
        calibrate_folder(tmp_path, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_wrong_units_and_cut_files_are_refused(tmp_path: Path) -> None:
    products(tmp_path / "h100_gemm_vllm-1.csv.gz", unit=1e3)  # milliseconds
    with pytest.raises(ScenarioError, match=r"beat the peak of the device.*row \d+: .* us against at least"):
        calibrate_folder(tmp_path, out=tmp_path / "out")
    products(tmp_path / "h100_gemm_vllm-1.csv.gz", unit=1e9)  # nanoseconds
    with pytest.raises(ScenarioError, match="hundreds of times"):
        calibrate_folder(tmp_path, out=tmp_path / "out")
    file = products(tmp_path / "h100_gemm_vllm-1.csv.gz")
    file.write_bytes(file.read_bytes()[:900])
    with pytest.raises(ScenarioError, match="cannot be read to its end"):
        calibrate_folder(tmp_path, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_kernel_suite_scores_own_and_transferred_laws(tmp_path: Path) -> None:
    products(tmp_path / "h100_gemm_vllm-1.csv.gz")
    own, *_ = kernels.run(tmp_path)
    assert own["split"] == "families left out" and own["median"] < 1e-4 and own["device"] == "H100-SXM"
    (tmp_path / "h100_gemm_vllm-1.csv.gz").rename(tmp_path / "h200_gemm_vllm-1.csv.gz")
    moved, *_ = kernels.run(tmp_path)
    assert "H100-SXM" in moved["note"] and moved["median"] < 0.2 and moved["split"] == "all rows, none fitted"
    assert len(kernels.cells([own, moved])) == 3


@pytest.mark.data
def test_recorded_errors_are_those_of_the_shipped_laws(data_dir: Path) -> None:
    """Every file of coefficients says what `hwsim validate kernels` finds, on two tables small enough for a test."""
    folder = data_dir / "gpu_kernels"
    if not folder.is_dir():
        pytest.skip("no gpu_kernels here")
    for name, key in (("a100_attn_decode_sglang-0.5.10", "attention_decode.bf16"), ("h100_nccl_nccl-2.29.2", "")):
        rows = kernels.run(folder / f"{name}.csv.gz")
        assert all(row["median"] < 0.09 for row in rows)
        if key:
            section, part = key.split(".")
            said = coefficients.load(coefficients.FOLDER / "a100-sxm-80gb-sglang.yaml")[section][part]["families"]
            found = float(str(said).split("%")[0].removeprefix("median "))
            assert rows[0]["median"] * 100 == pytest.approx(found, abs=0.2)


def test_this_machine_is_measured(tmp_path: Path) -> None:
    found = Machine("today", "a test", measure_products((64,), 0.01), measure_copies((1 << 16,), 0.01))
    found.disk = measure_disk(tmp_path, size=4 << 20, seconds=0.02, blocks=(4096, 1 << 20), depths=(1, 2))
    assert all(rate > 1e6 for rate in found.products.values()) and all(point.bandwidth > 0 for point in found.disk)
    assert not list(tmp_path.iterdir())
    written = yaml.safe_load(document(found))
    assert written["cpu"]["peak"]["fp32"]["status"] == "FIT" and written["ssd"]["read_by_block_and_depth"]
    assert replace(found, gpu=None).to_json()["gpu"] is None
