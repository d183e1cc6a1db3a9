"""Vidur's profiles are tables of products: shapes on one GPU, medians in microseconds, all models of a GPU together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwsim.errors import ScenarioError
from hwsim.study.calibrate import vidur
from hwsim.study.calibrate.folder import by_device
from hwsim.study.calibrate.ops import registry

OPS = ("attn_pre_proj", "attn_post_proj", "mlp_up_proj", "mlp_down_proj")
HEAD = "n_head,n_kv_head,n_embd,n_expanded_embd,use_gated_mlp,num_tokens,num_tensor_parallel_workers"


def profile(root: Path, model: str, rows: list[str], head: str = HEAD) -> Path:
    path = root / "compute" / "a100" / "org" / model / "mlp.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    names = head + "," + ",".join(f"time_stats.{op}.median" for op in OPS)
    path.write_text("\n".join([names, *rows]) + "\n", encoding="utf-8")
    return path


def test_products_of_a_layer_on_one_rank(tmp_path: Path) -> None:
    profile(tmp_path, "one", ["64,8,8192,28672,True,512,4,0.2,0.1,0.5,0.3"])
    profile(tmp_path, "two", ["32,32,4096,11008,False,1,1,0.05,0,0.06,0.07"])
    ((gpu, paths),) = by_device(tmp_path).items()
    assert gpu == "a100" and len(paths) == 1
    table = registry.read(paths[0])
    assert (table.op, table.source) == ("gemm", "vidur profiles")
    rows = set(zip(*(table[name].astype(int).tolist() for name in ("m", "n", "k", "latency_us")), strict=True))
    assert rows == {
        (512, 8192 // 4 + 2 * 2 * 128, 8192, 200),
        (512, 8192, 2048, 100),
        (512, 2 * 28672 // 4, 8192, 500),
        (512, 8192, 28672 // 4, 300),
        (1, 3 * 4096, 4096, 50),
        (1, 11008, 4096, 60),
        (1, 4096, 11008, 70),  # what was not timed is left out
    }


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = profile(tmp_path, "one", ["64,8192,28672,True,512,4,1,1,1,1"], HEAD.replace("n_kv_head,", ""))
    with pytest.raises(ScenarioError, match="lacks the columns n_kv_head"):
        registry.read(vidur.folder_of(path) or path)


def test_other_files_are_no_profiles(tmp_path: Path) -> None:
    assert vidur.folder_of(tmp_path / "compute" / "a100" / "attention.csv") is None
    assert vidur.folder_of(tmp_path / "h100_gemm_vllm-0.24.0.csv") is None


def test_recorded_profiles_read(data_dir: Path) -> None:
    folder = data_dir / "vidur_profiles"
    if not folder.is_dir():
        pytest.skip("needs vidur_profiles")
    groups = by_device(folder)
    assert set(groups) == {"a100", "h100"}
    table = registry.read(groups["h100"][0])
    up = (table["m"] == 4096) & (table["n"] == 2 * 11008) & (table["k"] == 4096)
    assert np.median(table["latency_us"][up]) == pytest.approx(993, rel=0.01)
