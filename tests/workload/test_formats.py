"""Formats of other tools: read to the same requests, told apart by their first lines, damage named by line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from hwsim.errors import ScenarioError
from hwsim.workload.requests import Requests
from hwsim.workload.trace import Trace, detect
from hwsim.workload.workload import Workload

BURST = """Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type
5,,3.5,ChatGPT,472,18,490,Conversation log
45.5,,0,ChatGPT,1087,0,1087,Conversation log
118,,2,GPT-4,417,276,693,API log
"""
VIDUR = """,arrived_at,num_prefill_tokens,num_decode_tokens,pd_ratio
0,0.25,100,20,5.0
1,1.75,7,3,2.3
"""
SPLITWISE = "request_id,arrival_timestamp,prompt_size,token_size\n0,0.0,12,3\n1,0.5,13,4\n"
LENGTHS = "num_prefill_tokens,num_decode_tokens\n3772,54\n2015,156\n"
LLMSIM = (
    json.dumps({"input_toks": 33, "output_toks": 4, "arrival_time_ns": 0, "input_tok_ids": list(range(33))})
    + "\n"
    + json.dumps(
        {"input_toks": 32, "output_toks": 5, "arrival_time_ns": 1500, "input_tok_ids": [*range(16), *range(90, 106)]}
    )
    + "\n"
)
SHAREGPT = json.dumps(
    [
        {"id": "a", "conversations": [{"from": "human", "value": "x" * 41}, {"from": "gpt", "value": "y" * 8}]},
        {"id": "b", "conversations": [{"from": "human", "value": "only one"}]},
        {"id": "c", "conversations": [{"from": "human", "tokens": 7}, {"from": "gpt", "tokens": 9}]},
    ],
    indent=1,
)
PAIRS = '{"prompt_len": 10, "output_len": 3}\n{"prompt_len": 11, "output_len": 4}\n'
VLLM = json.dumps(
    {
        "date": "20260101",
        "request_throughput": 1.0,
        "output_throughput": 2.0,
        "total_input_tokens": 30,
        "input_lens": [10, 20, 30],
        "output_lens": [2, 3, 0],
        "start_times": [101.5, 100.25, 103.0],
        "errors": ["", "", "timeout"],
    }
)
AIPERF = "".join(
    json.dumps(
        {
            "metadata": {"request_start_ns": start, "benchmark_phase": phase, "x_request_id": name},
            "metrics": {
                "input_sequence_length": {"value": 5, "unit": "tokens"},
                "output_sequence_length": {"value": n},
            },
            "error": error,
        }
    )
    + "\n"
    for start, phase, name, n, error in [
        (3_000_000_000, "profiling", "b", 2, None),
        (1_000_000_000, "profiling", "a", 1, None),
        (0, "warmup", "w", 1, None),
        (4_000_000_000, "profiling", "c", 1, {"code": 500}),
    ]
)
FILES = {
    "burstgpt": (BURST, [0, 113 * 10**12], [472, 417], [18, 276]),
    "vidur": (VIDUR, [0, 1_500_000_000_000], [100, 7], [20, 3]),
    "vidur (Splitwise)": (SPLITWISE, [0, 500_000_000_000], [12, 13], [3, 4]),
    "llmservingsim": (LLMSIM, [0, 1_500_000], [33, 32], [4, 5]),
    "vllm": (VLLM, [0, 1_250_000_000_000], [20, 10], [3, 2]),
    "aiperf": (AIPERF, [0, 2 * 10**12], [5, 5], [1, 2]),
    "sharegpt": (SHAREGPT, None, [11, 7], [2, 9]),
    "sharegpt (pairs)": (PAIRS, None, [10, 11], [3, 4]),
    "vidur (lengths)": (LENGTHS, None, [3772, 2015], [54, 156]),
}


def read(tmp_path: Path, text: str | bytes, **spec: Any) -> tuple[Requests, list[str]]:
    (tmp_path / "trace").write_bytes(text.encode() if isinstance(text, str) else text)
    workload = Workload.from_spec({"trace": "trace", **spec}, base_dir=tmp_path)
    (chunk,) = workload.chunks(0)
    return chunk, workload.warnings


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("packed", [False, True])
def test_every_format_is_known_and_read(name: str, packed: bool, tmp_path: Path) -> None:
    text, arrival, prompts, outputs = FILES[name]
    data = gzip.compress(text.encode()) if packed else text
    spec = {} if arrival is not None else {"arrivals": {"kind": "constant", "rate": "2 /s"}}
    chunk, _ = read(tmp_path, data, **spec)
    assert detect(tmp_path / "trace") == name.split()[0]
    assert chunk.arrival.tolist() == (arrival if arrival is not None else [0, 500_000_000_000])
    assert chunk.input_tokens.tolist() == prompts and chunk.output_tokens.tolist() == outputs


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    arrivals = {"arrivals": {"kind": "poisson", "rate": "1 /s"}}
    assert read(tmp_path, BURST)[1] == [
        "trace trace: 1 requests failed when the trace was taken (0 response tokens) and are left out"
    ]
    assert [warning.split(" ", 2)[2].split(" ")[0] for warning in read(tmp_path, AIPERF)[1]] == ["1", "1"]
    assert any("fewer than two turns" in warning for warning in read(tmp_path, SHAREGPT, **arrivals)[1])
    assert any("4 characters a token" in warning for warning in read(tmp_path, SHAREGPT, **arrivals)[1])


def test_a_trace_without_times_needs_arrivals(tmp_path: Path) -> None:
    for spec in ({}, {"arrivals": {"kind": "constant", "rate": "1 /s"}, "from": "1 s"}):
        with pytest.raises(ScenarioError, match="not when requests arrive"):
            read(tmp_path, LENGTHS, **spec)
    closed, _ = read(tmp_path, LENGTHS, arrivals={"kind": "closed", "concurrency": 2})
    assert closed.arrival.tolist() == [0, 0]


def test_drawn_arrivals_take_the_place_of_the_traces_own(tmp_path: Path) -> None:
    chunk, _ = read(tmp_path, VIDUR, arrivals={"kind": "constant", "rate": "4 /s"}, rate_scale=2)
    assert chunk.arrival.tolist() == [0, 125_000_000_000]
    assert chunk.input_tokens.tolist() == [100, 7]


def test_token_ids_become_prefixes(tmp_path: Path) -> None:
    chunk, _ = read(tmp_path, LLMSIM)
    assert chunk.prefix_ids is not None and chunk.prefix_block == 16
    one, two = chunk.prefix_ids
    assert len(one) == len(two) == 2 and one[0] == two[0] and one[1] != two[1]


BAD = {
    "burst without a column": ("Timestamp,Request tokens,Response tokenz\n1,2,3\n", "burstgpt", ":1", "is missing"),
    "burst text": (BURST + "300,,1,GPT-4,abc,5,5,API log\n", None, ":5", "abc"),
    "burst nan": (BURST + "nan,,1,GPT-4,5,5,5,API log\n", None, ":5", "out of range"),
    "burst empty prompt": (BURST + "300,,1,GPT-4,0,5,5,API log\n", None, ":5", "at least 1"),
    "burst short": (BURST + "300,,1\n", None, ":5", "too few columns"),
    "vidur negative": (VIDUR + "2,-5,1,1,1\n", None, ":4", "out of range"),
    "vidur backwards": (VIDUR + "2,1.5,1,1,1\n", None, ":4", "backwards"),
    "vidur zero": (LENGTHS + "5,0\n", None, ":4", "at least 1"),
    "llmsim no json": (LLMSIM + "{\n", None, ":3", "not a JSON line"),
    "llmsim sessions": ('{"input_toks": 1}\n{"sub_requests": []}\n', None, ":2", "sub_requests"),
    "llmsim ids": (
        '{"input_toks": 3, "output_toks": 1, "arrival_time_ns": 0, "input_tok_ids": [1]}\n',
        None,
        ":1",
        "do not match",
    ),
    "sharegpt text": ('[{"conversations": 5}]', None, ":1", "no conversations"),
    "sharegpt cut": (SHAREGPT[:-5], None, "trace:", "end of the file"),
    "sharegpt damaged": ('[\n{"conversations": []},\n{"conversations" 5}\n]', None, ":3", "not JSON"),
    "sharegpt words": ('[\n{"conversations": []},\n"abc"\n]', None, ":3", "not a conversation"),
    "vllm without details": (
        '{"request_throughput": 1, "output_throughput": 2, "duration": 5}',
        None,
        ":1",
        "--save-detailed",
    ),
    "vllm uneven": ('{"input_lens": [1, 2], "output_lens": [1]}', None, ":1", "does not match"),
    "vllm two": (VLLM + "\n" + VLLM, None, ":1", "several results"),
    "vllm bad time": (
        '{"input_lens": [1], "output_lens": [1], "start_times": ["x"]}',
        None,
        ":1",
        "request 0",
    ),
    "aiperf": (AIPERF + '{"metadata": {}, "metrics": 5}\n', None, ":5", "no metadata"),
    "aiperf length": (
        '{"metadata": {"request_start_ns": 1}, "metrics": {"input_sequence_length": {"value": 1.5}}}',
        None,
        ":1",
        "input_sequence_length",
    ),
    "deep": ('{"conversations": ' + "[" * 100_000, "sharegpt", ":1", "nested too deeply"),
    "only failures": (BURST.splitlines()[0] + "\n1,,1,GPT-4,5,0,5,API log\n", None, "trace", "1 requests failed"),
}


@pytest.mark.parametrize("case", BAD)
def test_damage_is_named(case: str, tmp_path: Path) -> None:
    text, format_, place, words = BAD[case]
    spec: dict[str, Any] = {"format": format_} if format_ else {}
    if any(word in case for word in ("sharegpt", "deep", "zero", "vllm")):
        spec["arrivals"] = {"kind": "constant", "rate": "1 /s"}
    with pytest.raises(ScenarioError) as caught:
        read(tmp_path, text, **spec)
    assert place in str(caught.value) and words in str(caught.value), str(caught.value)


def test_a_long_json_list_is_streamed(tmp_path: Path) -> None:
    """Items are given as they are read: the first come although the file has no end."""
    turn = {"from": "human", "value": "word " * 2000}
    path = tmp_path / "trace"
    with path.open("w") as file:
        file.write("[")
        for _ in range(300):
            file.write(json.dumps({"conversations": [turn, turn]}) + ",\n")
    rows = Trace(path).rows()
    assert [next(rows).input_tokens for _ in range(3)] == [2500, 2500, 2500]
    with pytest.raises(ScenarioError, match="ends inside the list"):
        list(rows)


def test_one_endless_item_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text('[{"conversations": [{"value": "' + "x" * 17_000_000)
    with pytest.raises(ScenarioError, match="over 16 MB"):
        list(Trace(path).rows())


def test_times_beyond_64_bits_are_refused(tmp_path: Path) -> None:
    text = BURST + "99999999,,1,GPT-4,5,5,5,API log\n"
    with pytest.raises(ScenarioError, match="104 days"):
        read(tmp_path, text)
    assert read(tmp_path, text, until="500 s")[0].arrival.tolist() == [0, 113 * 10**12]
    assert len(read(tmp_path, text, rate_scale=100)[0]) == 3


@pytest.mark.parametrize("format_", ["vllm", "aiperf", "csv"])
def test_an_exported_run_is_a_trace_again(format_: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hwsim.cli import main

    monkeypatch.chdir(tmp_path)
    quick = ["run", "-m", "meta-llama/Llama-3.1-8B", "-n", "dgx-h100", "--rate", "20/s", "--requests", "50"]
    assert main([*quick, "--input", "100", "--output", "10", "--report", "off", "-o", "run"]) == 0
    assert main(["export", "run", "--to", format_, "-o", str(tmp_path / "out")]) == 0
    found = tmp_path / "out"
    chunk, _ = read(tmp_path, (found / "requests.csv" if found.is_dir() else found).read_bytes())
    spec = {"requests": 50, "arrivals": {"kind": "poisson", "rate": "20 /s"}, "input_tokens": 100, "output_tokens": 10}
    (first,) = Workload.from_spec(spec).chunks(0)
    assert len(chunk) == 50 and set(chunk.output_tokens.tolist()) == {10}
    late = abs(chunk.arrival - (first.arrival - first.arrival[0])).max()
    assert late <= 1000 * 1000  # AIPerf keeps nanoseconds, JSON floats of seconds


@pytest.mark.data
def test_length_files_of_the_data_sets(data_dir: Path) -> None:
    spec = {"trace": "arxiv_summarization_lengths_llama2", "arrivals": {"kind": "poisson", "rate": "1 /s"}}
    chunks = list(Workload.from_spec(spec, base_dir=data_dir / "traces").chunks(0))
    assert sum(map(len, chunks)) == 28257
    assert sum(int(chunk.input_tokens.sum()) for chunk in chunks) / 28257 == pytest.approx(2588.08, abs=0.01)
