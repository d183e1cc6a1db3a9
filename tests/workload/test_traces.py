"""Trace readers: real formats, exact times, slices, and a gallery of damaged files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from hwsim.errors import ScenarioError
from hwsim.workload.requests import Requests
from hwsim.workload.statistics import statistics
from hwsim.workload.trace import Trace
from hwsim.workload.workload import Workload

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
2023-11-16 18:15:51.0000000,879,55
"""
MOONCAKE = """{"timestamp": 0, "input_length": 1000, "output_length": 5, "hash_ids": [0, 1]}
{"timestamp": 3000, "input_length": 1025, "output_length": 7, "hash_ids": [0, 2, 3]}
"""
OWN = """arrival_s,input_tokens,output_tokens,request_id,priority,stop,prefix_ids,prefix_block
0.5,6,3,r1,0,length,1,4
0.500000000001,9,2,r2,1,eos,,
2,7,2,r3,,,1 2,4
"""


def read(tmp_path: Path, text: str | bytes, name: str = "trace.csv", **spec: Any) -> Requests:
    data = text.encode() if isinstance(text, str) else text
    (tmp_path / name).write_bytes(data)
    chunks = list(Workload.from_spec({"trace": name, **spec}, base_dir=tmp_path).chunks(0))
    assert len(chunks) == 1
    return chunks[0]


def test_azure_times_are_exact(tmp_path: Path) -> None:
    chunk = read(tmp_path, AZURE)
    assert chunk.arrival.tolist() == [0, 4_314_579_000_000, 4_319_410_000_000]
    assert chunk.input_tokens.tolist() == [374, 396, 879]
    assert chunk.output_tokens.tolist() == [44, 109, 55]


def test_gzip_and_names_without_ending(tmp_path: Path) -> None:
    (tmp_path / "real.csv.gz").write_bytes(gzip.compress(AZURE.encode()))
    (chunk,) = Workload.from_spec({"trace": "real", "format": "azure"}, base_dir=tmp_path).chunks(0)
    assert len(chunk) == 3


def test_mooncake(tmp_path: Path) -> None:
    chunk = read(tmp_path, MOONCAKE, "trace.jsonl")
    assert chunk.arrival.tolist() == [0, 3 * 10**12]
    assert chunk.prefix_ids == [(0, 1), (0, 2, 3)] and chunk.prefix_block == 512


def test_own_format(tmp_path: Path) -> None:
    chunk = read(tmp_path, OWN)
    assert chunk.arrival.tolist() == [0, 1, 1_500_000_000_000]
    assert chunk.request_id == ["r1", "r2", "r3"]
    assert chunk.eos.tolist() == [False, True, False]
    assert chunk.max_tokens.tolist() == [3, 3, 2]
    assert chunk.prefix_ids == [(1,), (), (1, 2)] and chunk.prefix_block == 4


def test_own_format_as_parquet(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({"arrival_s": [0.0, 1.5], "input_tokens": [5, 6], "output_tokens": [1, 2]})
    pyarrow.parquet.write_table(table, tmp_path / "own.parquet")
    (chunk,) = Workload.from_spec({"trace": "own"}, base_dir=tmp_path).chunks(0)
    assert chunk.arrival.tolist() == [0, 1_500_000_000_000] and chunk.input_tokens.tolist() == [5, 6]


def test_slices_and_scale(tmp_path: Path) -> None:
    assert read(tmp_path, AZURE, rate_scale=2).arrival.tolist() == [0, 2_157_289_500_000, 2_159_705_000_000]
    assert read(tmp_path, AZURE, **{"from": "1 s"}).input_tokens.tolist() == [396, 879]
    assert read(tmp_path, AZURE, until="4.316 s").input_tokens.tolist() == [374, 396]
    assert read(tmp_path, AZURE, skip=1, first=1).input_tokens.tolist() == [396]
    assert read(tmp_path, AZURE, skip=1).arrival.tolist()[0] == 0


BAD = {
    "missing column": ("arrival_s,input_tokens\n0,5\n", ":1", "output_tokens is missing"),
    "unknown column": ("arrival_s,input_tokens,output_tokens,prioritie\n0,5,1,1\n", ":1", "priority"),
    "text in numbers": (AZURE + "2023-11-16 18:15:52,abc,5\n", ":5", "abc"),
    "nan": ("arrival_s,input_tokens,output_tokens\nnan,5,1\n", ":2", "out of range"),
    "negative": ("arrival_s,input_tokens,output_tokens\n-1,5,1\n", ":2", "out of range"),
    "zero prompt": (AZURE + "2023-11-16 18:15:52,0,5\n", ":5", "at least 1"),
    "fraction": ("arrival_s,input_tokens,output_tokens\n0,5.5,1\n", ":2", "whole number"),
    "backwards": (AZURE + "2023-11-16 18:15:40,10,5\n", ":5", "backwards"),
    "few columns": (AZURE + "2023-11-16 18:15:52,10\n", ":5", "too few columns"),
    "bad time": (AZURE + "yesterday,10,5\n", ":5", "TIMESTAMP"),
    "empty": ("", ":1", "unknown trace format"),
    "header only": ("TIMESTAMP,ContextTokens,GeneratedTokens\n", "trace.csv", "no requests"),
    "not json": (MOONCAKE + "{oops\n", ":3", "not a JSON line"),
    "wrong json type": (MOONCAKE + '{"timestamp": "x", "input_length": 5, "output_length": 1}\n', ":3", "milliseconds"),
    "boolean length": (MOONCAKE + '{"timestamp": 9000, "input_length": true, "output_length": 1}\n', ":3", "number"),
    "ids do not cover": (
        MOONCAKE + '{"timestamp": 9000, "input_length": 5000, "output_length": 1, "hash_ids": [1]}\n',
        ":3",
        "hash_ids do not cover",
    ),
    "twice the same id": (OWN + "3,1,1,r1,,,,\n", ":5", "not unique"),
    "prefix without block": (OWN + "3,1,1,r9,,,5,\n", ":5", "prefix_block"),
    "unknown stop": (OWN + "3,1,1,r9,,maybe,,\n", ":5", "eos or length"),
    "binary": (bytes(range(128, 256)) * 20, ":1", ""),
    "damaged gzip": (gzip.compress(AZURE.encode())[:90], "trace.csv", "cannot read"),
    "endless line": (b"x" * 5_000_000, ":1", "line too long"),
}


@pytest.mark.parametrize("case", BAD)
def test_damaged_files_are_named(case: str, tmp_path: Path) -> None:
    text, place, words = BAD[case]
    with pytest.raises(ScenarioError) as caught:
        read(tmp_path, text)
    assert place in str(caught.value)
    assert words in str(caught.value)


def test_several_bad_lines_at_once(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as caught:
        read(tmp_path, AZURE + "2023-11-16 18:15:52,x,5\n" * 50)
    assert len(caught.value.problems) == 20


def test_unknown_traces(tmp_path: Path) -> None:
    (tmp_path / "azure2023_conv.csv").write_text(AZURE)
    with pytest.raises(ScenarioError, match="azure2023_conv"):
        list(Workload.from_spec({"trace": "azure2023_con"}, base_dir=tmp_path).chunks(0))
    with pytest.raises(ScenarioError, match="mooncake"):
        list(Workload.from_spec({"trace": "azure2023_conv", "format": "mooncak"}, base_dir=tmp_path).chunks(0))


@pytest.mark.data
def test_statistics_of_the_real_traces(data_dir: Path) -> None:
    """Against the statistics that accompany the data sets."""
    azure = statistics(Workload.from_spec({"trace": "azure2023_conv"}, base_dir=data_dir / "traces").chunks(0))
    assert azure["requests"] == 19366
    assert azure["rate_per_s"] == pytest.approx(5.5301, rel=1e-4)
    assert azure["gap_cv"] == pytest.approx(1.094, abs=5e-4)
    assert azure["dispersion_60s"] == pytest.approx(16.128, rel=1e-3)
    assert azure["input_tokens"]["mean"] == pytest.approx(1154.7, abs=0.05)
    assert azure["output_tokens"]["p90"] == 424
    mooncake = statistics(
        Workload.from_spec({"trace": "mooncake_conversation"}, base_dir=data_dir / "traces").chunks(0)
    )
    assert mooncake["requests"] == 12031
    assert mooncake["prefix_hit_ratio"] == pytest.approx(0.3664, abs=1e-4)
    assert mooncake["input_tokens"]["p99"] == pytest.approx(85400.4)


def test_prefix_ids_that_repeat_wrongly_are_counted(tmp_path: Path) -> None:
    """An id names all text up to its end, so the id before it is always the same one."""
    lines = [
        {"hash_ids": [1, 2, 3]},
        {"hash_ids": [1, 2, 4]},
        {"hash_ids": [1, 3]},  # 3 stood behind 2
        {"hash_ids": [5, 5]},  # twice in one prompt
        {"hash_ids": [1, 2, 3, 6]},
        {"hash_ids": [10**15, 10**15 + 1]},
        {"hash_ids": [10**15 + 1]},
    ]
    path = tmp_path / "t.jsonl"
    rows = [
        {"timestamp": i, "input_length": 512 * len(line["hash_ids"]), "output_length": 1, **line}
        for i, line in enumerate(lines)
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    trace = Trace(path)
    assert len(list(trace.rows())) == len(lines)
    assert list(trace.remarks.values()) == [3]
    (text,) = trace.remarks
    assert "after another id" in text
