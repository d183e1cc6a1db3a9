"""Two runs side by side, and the nodes that hold a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hwsim.cli import main
from hwsim.metrics.difference import changes, differences

QUICK = [
    "run",
    "-m",
    "meta-llama/Llama-3.1-8B",
    "-n",
    "dgx-h100",
    "--rate",
    "20/s",
    "--requests",
    "40",
    "--report",
    "off",
]


def test_ratios_and_missing_figures() -> None:
    rows = {name: rest for name, *rest in differences({"mfu": 0.2, "goodput": None}, {"mfu": 0.3, "goodput": 2.0})}
    assert rows == {"mfu": [0.2, 0.3, pytest.approx(1.5)], "goodput": [None, 2.0, None]}
    every = differences({"a": {"b": 0}, "name": "x"}, {"a": {"b": 5}}, every=True)
    assert every == [("a.b", 0, 5, None)]


def test_changed_settings() -> None:
    assert changes("a: {b: 1, c: 2}", "a: {b: 1, c: 3}\nd: x") == [("a.c", 2, 3), ("d", None, "x")]


def test_two_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*QUICK, "-o", "a"]) == 0
    assert main([*QUICK, "-o", "b", "-s", "serve.max_num_seqs=2"]) == 0
    capsys.readouterr()
    assert main(["diff", "a", "b"]) == 0
    out = capsys.readouterr().out
    assert "serve.max_num_seqs: 1024 -> 2" in out and "ttft_ms.p99" in out
    assert max(map(len, out.splitlines())) <= 100
    assert main(["diff", "a", "b", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    one, two = found["metrics"]["ttft_ms.p99"]["values"]
    assert found["metrics"]["ttft_ms.p99"]["ratio"] == pytest.approx(two / one)
    assert main(["diff", "a", "a"]) == 0
    assert "the same to the last digit" in capsys.readouterr().out
    assert main(["diff", "a", "nothing"]) == 2
    assert main(["diff", "a", "x.yaml"]) == 2


def test_nodes_that_hold_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "-m", "meta-llama/Llama-3.3-70B-Instruct", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["nodes"]
    prices = [place["usd_per_hour"] for place in found]
    known = [price for price in prices if price is not None]
    assert known == sorted(known) and prices[: len(known)] == known
    h100 = next(place for place in found if place["node"] == "dgx-h100")
    assert h100["tensor_parallel_size"] == 4 and h100["kv_tokens"] > 400_000
    eight = ["check", "-m", "meta-llama/Llama-3.1-8B", "-s", "serve.tensor_parallel_size=8", "--json"]
    assert main(eight) == 0
    assert all(place["tensor_parallel_size"] == 8 for place in json.loads(capsys.readouterr().out)["nodes"])
    assert main(["check", "-m", "no/such-model"]) == 2
    assert main(["check", "-m", "x", "file.yaml"]) == 2
