"""Replay: a recording that the simulator made is met exactly, what differs is told, damaged files name their rows."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hwsim.cli import main
from hwsim.errors import ScenarioError
from hwsim.scenario.load import load
from hwsim.scenario.run import run
from hwsim.study.recording import recordings
from hwsim.study.suites.replay import PART as REPLAY
from hwsim.study.suites.replay import scenario_of

SETTINGS = {
    "model": "meta-llama/Llama-3.1-8B",
    "tensor_parallel_size": 1,
    "max_num_seqs": 4,
    "max_num_batched_tokens": 512,
    "max_model_len": None,
    "dtype": "bfloat16",
    "kv_cache_dtype": "auto",
    "seed": 42,
}
LENGTHS = [(40 + 13 * i, 20 + 7 * i) for i in range(12)]


def written(folder: Path, *, stem: str = "run", late: float = 0.0, series: bool = True, **settings: Any) -> Path:
    """A recording of the simulator's own run of a dozen requests; ``late`` shifts the first tokens (seconds)."""
    folder.mkdir(exist_ok=True)
    meta = {
        "vllm": {"vllm_version": "0.19.0", "engine_kwargs": SETTINGS | settings},
        "machine": {"nodes": [{"instances": [{"hardware": "H100", "npu_mem": {"mem_util": 0.9}}]}]},
    }
    (folder / f"{stem}_meta.json").write_text(json.dumps(meta), encoding="utf-8")
    arrivals = [0.04 * i for i in range(len(LENGTHS))]
    rows = [(at, *lengths) for at, lengths in zip(arrivals, LENGTHS, strict=True)]
    table(folder / f"{stem}_requests.csv", ("arrival_s", "input_tokens", "output_tokens"), rows)
    scenario = {
        "hwsim": 1,
        "model": {"like": SETTINGS["model"], "dtype": "bf16"},
        "system": {"node": "hgx-h100"},
        "serve": {"engine": "vllm-0.19", "gpu_memory_utilization": 0.9}
        | {name: value for name, value in SETTINGS.items() if name.startswith(("max_num", "tensor"))},
        "workload": {"trace": str(folder / f"{stem}_requests.csv")},
    }
    tables = run(load(scenario)).tables
    done = tables["requests"]
    columns = ("arrival_s", "input_tokens", "output_tokens", "first_token_s", "finish_s")
    rows = list(zip(*(done[name].tolist() for name in columns), strict=True))
    rows = [(*row[:3], row[3] + late, row[4] + late) for row in rows]
    table(folder / f"{stem}_requests.csv", (*columns[:4], "last_token_s"), rows)
    if series:
        table(folder / f"{stem}_timeseries.csv.gz", ("t", "running", "waiting", "kv_cache_pct"), seconds(tables))
    return folder


def seconds(tables: dict[str, Any]) -> Iterator[tuple[float, ...]]:
    """Running and waiting requests every 20 ms, counted from the times of the requests themselves."""
    done = tables["requests"]
    times = list(zip(*(done[name].tolist() for name in ("arrival_s", "scheduled_s", "finish_s")), strict=True))
    for tick in range(1, 40):
        t = 0.02 * tick
        running = sum(start <= t < end for _, start, end in times)
        yield t, running, sum(arrival <= t < start for arrival, start, _ in times), 0.0


def table(path: Path, head: tuple[str, ...], rows: Any) -> None:
    text = "\n".join(",".join(map(str, cells)) for cells in [head, *rows]) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def test_a_recording_of_the_simulator_is_met_exactly(tmp_path: Path) -> None:
    rows = {row.metric: row for row in REPLAY.run(written(tmp_path / "r"))}
    for name in ("ttft_p50", "ttft_p99", "tpot_p50", "tpot_p99", "e2e_mean", "makespan_s"):
        assert rows[name].error == pytest.approx(0, abs=1e-6), name
    # clients see requests begin and end some milliseconds away from the engine, which is watched every 20 ms
    assert rows["running_correlation"].simulated == pytest.approx(1, abs=0.05)
    assert rows["running_mean"].error == pytest.approx(0, abs=0.05)
    assert rows["kv_cache_pct_mean"].simulated is None and "not recorded" in rows["kv_cache_pct_mean"].note


def test_another_engine_and_later_tokens_are_told(tmp_path: Path) -> None:
    rows = {row.metric: row for row in REPLAY.run(written(tmp_path / "r", late=0.5, max_num_seqs=8, series=False))}
    assert (rows["ttft_p50"].error or 0) < -0.5 and "running_mean" not in rows
    assert (rows["tpot_p50"].error or 0) > 0.02, "eight rows a step take longer than four"


def test_settings_and_machine_come_from_the_recording(tmp_path: Path) -> None:
    (recording,) = recordings(written(tmp_path / "r", data_parallel_size=2, kv_cache_dtype="fp8", series=False))
    scenario, note = scenario_of(recording)
    assert scenario["serve"] == {
        "engine": "vllm-0.19",
        "tensor_parallel_size": 1,
        "data_parallel_size": 2,
        "max_num_seqs": 4,
        "max_num_batched_tokens": 512,
        "gpu_memory_utilization": 0.9,
    }
    assert scenario["model"]["kv_cache_dtype"] == "fp8" and note == ""


def test_prompts_that_begin_alike_are_found_beside_the_recording(tmp_path: Path) -> None:
    folder = written(tmp_path / "r", series=False)
    assert not recordings(folder)[0].prefixes
    lines = [
        json.dumps({"timestamp": i, "input_length": a, "output_length": b, "hash_ids": list(range(a // 16))})
        for i, (a, b) in enumerate(LENGTHS)
    ]
    (folder / "other.jsonl").write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
    assert not recordings(folder)[0].prefixes
    (folder / "prompts.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (recording,) = recordings(folder)
    assert recording.prefixes[1] == (tuple(range(53 // 16)), 16)
    shared = {row.metric: row for row in REPLAY.run(folder)}
    assert (shared["ttft_p50"].error or 0) < 0


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("run_meta.json", "{", "cannot be read"),
        ("run_meta.json", '{"vllm": {"model": "m"}}', "cannot be read"),
        ("run_meta.json", '{"vllm": {"engine_kwargs": {}}}', "names no model and no hardware"),
        ("run_requests.csv", "", "lacks the columns"),
        ("run_requests.csv", "input_tokens,output_tokens,arrival_s,first_token_s,last_token_s\n", "no rows"),
        ("run_requests.csv", "input_tokens,output_tokens,arrival_s,first_token_s,last_token_s\n8,2,0,nan,1\n", ":2"),
        (
            "run_requests.csv",
            "input_tokens,output_tokens,arrival_s,first_token_s,last_token_s\n8,2,3,1,2\n",
            "in order",
        ),
        ("run_requests.csv", "input_tokens,output_tokens,arrival_s,first_token_s,last_token_s\n8,0,0,1,2\n", "tokens"),
        ("run_timeseries.csv", "t,running\n1,2\n", "lacks the columns waiting"),
    ],
)
def test_damaged_recordings_are_named(tmp_path: Path, file: str, text: str, says: str) -> None:
    folder = written(tmp_path / "r", series=False)
    (folder / file).write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError, match=says) as caught:
        recordings(folder)
    assert file in caught.value.problems[0].where


def test_what_is_no_recording_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "replay", "--data", str(tmp_path)]) == 2
    assert "no recording" in capsys.readouterr().err
    folder = written(tmp_path / "r", series=False)
    (folder / "run_requests.csv").unlink()
    with pytest.raises(ScenarioError, match=r"run_requests\.csv is missing"):
        recordings(folder)


def test_a_file_of_a_recording_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = written(tmp_path / "r", stem="mine")
    assert main(["validate", "replay", "--data", str(folder / "mine_requests.csv"), "--json"]) == 0
    (suite,) = json.loads(capsys.readouterr().out)
    assert {row["case"] for row in suite["rows"]} == {"mine"}


def test_the_recordings_of_the_collection_are_replayed(data_dir: Path) -> None:
    rows = REPLAY.run(data_dir / "traces")
    assert len({row.case for row in rows}) == 2
    for row in rows:
        if row.metric.startswith("tpot"):
            assert row.error is not None and abs(row.error) < 0.2, row
        if row.metric == "running_correlation":
            assert row.simulated is not None and row.simulated > 0.9
