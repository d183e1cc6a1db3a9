"""Imported traces repeat themselves to the tick; damaged ones name the line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hwsim.errors import ScenarioError
from hwsim.scenario.load import load
from hwsim.scenario.run import run


def _run(trace: Path, format_: str):
    system = {"node": {"like": "workstation", "gpu": "RTX-4090"}}
    return run(load({"name": "t", "system": system, "graph": {"trace": str(trace), "format": format_}}), record="full")


def test_kineto_repeats_the_trace(tmp_path: Path) -> None:
    events = [
        {"ph": "X", "cat": "kernel", "name": "gemm", "ts": 100, "dur": 50, "pid": 0, "tid": 7},
        {"ph": "X", "cat": "kernel", "name": "ncclAllReduce", "ts": 155, "dur": 30, "pid": 0, "tid": 9},
        {"ph": "X", "cat": "kernel", "name": "gemm", "ts": 150, "dur": 20, "pid": 0, "tid": 7},
        {"ph": "X", "cat": "cpu_op", "name": "aten::mm", "ts": 0, "dur": 500, "pid": 1, "tid": 1},
    ]
    file = tmp_path / "trace.json"
    file.write_text(json.dumps({"traceEvents": events}))
    spans = _run(file, "kineto").table("spans")
    kernels = [i for i, kind in enumerate(spans["kind"]) if kind != "event"]
    times = sorted((round(spans["start_s"][i] * 1e6), round(spans["end_s"][i] * 1e6)) for i in kernels)
    assert times == [(0, 50), (50, 70), (55, 85)]


def test_chakra_follows_dependencies(tmp_path: Path) -> None:
    nodes = [
        {"id": 1, "name": "a", "type": "COMP_NODE", "duration_micros": 10},
        {"id": 2, "name": "b", "type": "COMM_COLL_NODE", "duration_micros": 5, "data_deps": [1]},
        {"id": 3, "name": "c", "type": "COMP_NODE", "duration_micros": 7, "data_deps": [1, 2]},
    ]
    file = tmp_path / "trace.jsonl"
    file.write_text("\n".join(json.dumps(node) for node in nodes))
    assert _run(file, "chakra").summary["simulated_seconds"] == pytest.approx(22e-6)


@pytest.mark.parametrize(
    ("format_", "text", "place"),
    [
        ("kineto", '{"traceEvents": [\n{"ph": "X"\n]}', ":3:"),
        ("kineto", '{"a": 1, "traceEvents": [\n{"ph": "M"},\n\n{"ph": "X", "ts": "oops", "dur": 1}]}', ":4:"),
        ("kineto", '[{"ph": "X", "ts": 1, "dur": 1}\n,{"ph": "X", "ts": 1}]', ":2:"),
        ("chakra", '{"nodes": [\n{"id": 1, "duration_micros": 3},\n{"id": 2, "ctrl_deps": [7]}]}', ":3:"),
        ("kernels", "start_us,dur_us,stream,class\n0,5,1,gemm\n7,x,1,gemm\n", ":3"),
        ("chakra", '{"id": 1, "duration_micros": 3}\n{"id": 2, "data_deps": [9]}\n', ":2"),
    ],
)
def test_damage_names_the_line(tmp_path: Path, format_: str, text: str, place: str) -> None:
    file = tmp_path / "damaged"
    file.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        _run(file, format_)
    assert f"damaged{place}" in str(caught.value)


def test_a_training_trace_hides_its_communication(data_dir: Path) -> None:
    spans = _run(data_dir / "traces" / "deepseek_v3_train_chunk_kernels.csv.gz", "kernels").table("spans")
    kinds = np.array(spans["kind"])
    busy = {}
    for kind in ("compute", "collective"):
        grid = np.zeros(140_000, dtype=bool)  # microseconds
        for row in np.nonzero(kinds == kind)[0]:
            grid[round(spans["start_s"][row] * 1e6) : round(spans["end_s"][row] * 1e6)] = True
        busy[kind] = grid
    hidden = (busy["compute"] & busy["collective"]).sum() / busy["collective"].sum()
    assert hidden == pytest.approx(0.963, abs=0.01)


def _number(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def _node(id_: int, name: str, kind: int, duration: int, data: list[int]) -> bytes:
    packed = b"".join(map(_number, data))
    body = b"\x08" + _number(id_) + b"\x12" + _number(len(name)) + name.encode() + b"\x18" + _number(kind)
    body += b"\x2a" + _number(len(packed)) + packed if data else b""
    body += b"\x38" + _number(duration) + b"\x52\x03abc"  # an attribute that nobody asks for
    return _number(len(body)) + body


def test_chakra_in_protobuf_equals_chakra_in_json(tmp_path: Path) -> None:
    nodes = [(300, "gemm", 4, 500, []), (2, "all_reduce", 7, 700, [300]), (3, "gemm", 4, 40, [300, 2])]
    words = {4: "COMP_NODE", 7: "COMM_COLL_NODE"}
    text = tmp_path / "trace.json"
    text.write_text(
        "\n".join(
            json.dumps({"id": i, "name": n, "type": words[k], "duration_micros": d, "data_deps": deps})
            for i, n, k, d, deps in nodes
        )
    )
    binary = tmp_path / "trace.et"
    whole = _number(4) + b"\x0a\x02v1" + b"".join(_node(*node) for node in nodes)
    binary.write_bytes(whole)
    first, second = (_run(file, "chakra") for file in (text, binary))
    assert first.summary["simulated_seconds"] == second.summary["simulated_seconds"] == pytest.approx(1240e-6)
    assert first.table("spans")["name"] == second.table("spans")["name"]
    binary.write_bytes(whole[:-5])
    with pytest.raises(ScenarioError, match=r"trace\.et: byte \d+"):
        _run(binary, "chakra")
