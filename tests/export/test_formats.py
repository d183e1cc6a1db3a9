"""Each format is read back with a reader of its own and compared with the tables."""

from __future__ import annotations

import csv
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim.errors import ScenarioError
from hwsim.export._protobuf import varint
from hwsim.export._timeline import stretches
from hwsim.export.run_folder import read_run_folder, write_run_folder
from hwsim.part import Parts

from .saved import MANIFEST, save

FORMATS = ("perfetto", "chrome", "vllm", "aiperf", "csv", "parquet", "run_folder")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports") / "run"
    save(folder, 150, replicas=2, rejected=2, horizon_s=18.0, slo={"ttft_s": 0.1})
    return folder


def export(run: Path, name: str, out: Path) -> Path:
    return Parts("hwsim.export").get(name).write(run, out)


def test_formats_are_the_files_of_the_package() -> None:
    assert Parts("hwsim.export").names() == sorted(FORMATS)
    for name in FORMATS:
        assert Parts("hwsim.export").get(name).suffix


def test_a_run_without_tables_is_told(run: Path, tmp_path: Path) -> None:
    summary = read_run_folder(run)[0]
    write_run_folder(tmp_path / "off", "", MANIFEST, summary, {})
    for name in ("perfetto", "chrome", "aiperf"):
        with pytest.raises(ScenarioError, match="kept no table"):
            export(tmp_path / "off", name, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["off"]
    vllm = json.loads(export(tmp_path / "off", "vllm", tmp_path / "v.json").read_text())
    assert vllm["mean_ttft_ms"] == summary["ttft_ms"]["mean"]


# -- perfetto ------------------------------------------------------------------------------------------------------


def fields(content: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a protobuf message: field number with an integer, a double or bytes."""
    at = 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = content[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(content):
        key = number()
        if key & 7 == 0:
            yield key >> 3, number()
        elif key & 7 == 1:
            yield key >> 3, struct.unpack("<d", content[at : at + 8])[0]
            at += 8
        else:
            assert key & 7 == 2
            size = number()
            assert at + size <= len(content)
            yield key >> 3, content[at : at + size]
            at += size


@pytest.mark.parametrize(
    ("value", "wire"), [(0, "00"), (127, "7f"), (128, "8001"), (300, "ac02"), (-1, "ff" * 9 + "01")]
)
def test_varints(value: int, wire: str) -> None:
    assert varint(value).hex() == wire


def perfetto(path: Path) -> tuple[dict[int, dict], list[tuple[int, int, dict]]]:
    """Track descriptors by uuid, and events as (time, order, fields)."""
    tracks, events, names = {}, [], {}
    for order, (field, packet) in enumerate(fields(path.read_bytes())):
        assert field == 1
        content = dict(fields(packet))
        assert content[10] == 1
        if 12 in content:
            interned = dict(fields(content[12]))
            entry = dict(fields(interned[2]))
            assert interned[2] == interned[3]
            names[entry[1]] = entry[2].decode()
        elif 60 in content:
            track = dict(fields(content[60]))
            tracks[track[1]] = track
        elif 11 in content:
            event = dict(fields(content[11]))
            if 10 in event:
                event["name"] = names[event[10]]
            elif 23 in event:
                event["name"] = event[23].decode()
            events.append((content[8], order, event))
    return tracks, events


def test_perfetto_slices_nest_and_cover_the_run(run: Path, tmp_path: Path) -> None:
    tracks, events = perfetto(export(run, "perfetto", tmp_path / "run.pftrace"))
    _, _, tables = read_run_folder(run)
    processes = [track for track in tracks.values() if 3 in track]
    assert len(processes) == 2
    for track in tracks.values():
        assert 3 in track or tracks[track[5]] in processes
    open_slices: dict[int, list[tuple[int, str]]] = {}
    stretches = requests = 0
    for time, _, event in sorted(events, key=lambda item: item[:2]):
        stack = open_slices.setdefault(event[11], [])
        name = tracks[event[11]][2].decode()
        if event[9] == 1:
            stack.append((time, event["name"]))
            assert len(stack) <= (1 if name == "engine" else 2)
        elif event[9] == 2:
            start, _ = stack.pop()
            assert start <= time
            stretches += name == "engine"
            requests += name.startswith("requests") and not stack
        else:
            assert event[9] == 4 and name in ("running", "waiting", "free_pages")
    assert not any(open_slices.values())
    assert stretches == len(tables["steps"]["steps"])
    assert requests == np.count_nonzero(~np.isnan(tables["requests"]["scheduled_s"]))


def test_slices_never_overlap_when_rounded() -> None:
    """A stretch of 2.0003 ns ends in a later nanosecond than the next one starts in."""
    steps = {name: np.array([3, 3]) for name in ("first_step", "steps", "decode_rows", "prefill_tokens")}
    steps |= {name: np.array([1, 1]) for name in ("context", "running", "waiting", "replica")}
    steps |= {"start_ticks": np.array([0, 1999]), "bound": ["hbm", "hbm"]}
    steps |= {"first_duration": np.array([2000.4e-12 / 3] * 2), "slope": np.zeros(2)}
    first, second = stretches(steps)
    assert first.start <= first.end <= second.start <= second.end


def test_perfetto_times_are_those_of_the_tables(run: Path, tmp_path: Path) -> None:
    tracks, events = perfetto(export(run, "perfetto", tmp_path / "run.pftrace"))
    _, _, tables = read_run_folder(run)
    table = tables["requests"]
    begins = {event["name"]: time for time, _, event in events if event.get("name", "").startswith("request ")}
    for i, arrival in enumerate(table["arrival_s"]):
        if not np.isnan(table["scheduled_s"][i]):
            assert begins[f"request {table['request_id'][i]}"] == pytest.approx(arrival * 1e9, abs=1)
    notes = [dict(fields(note)) for _, _, e in events if e[9] == 1 for f, note in e.items() if f == 4]
    assert notes and all(1 in note and (4 in note or 6 in note) for note in notes)
    first = min(time for time, _, e in events if e[9] == 1 and tracks[e[11]].get(2) == b"engine")
    assert first == pytest.approx(tables["steps"]["start"][0] * 1e9, abs=1)


# -- the others ----------------------------------------------------------------------------------------------------


def test_chrome_spans_nest(run: Path, tmp_path: Path) -> None:
    content = json.loads(export(run, "chrome", tmp_path / "run.json").read_text())
    _, _, tables = read_run_folder(run)
    assert content["displayTimeUnit"] == "ms"
    spans: dict[tuple, list] = {}
    for event in content["traceEvents"]:
        if event["ph"] == "X":
            spans.setdefault((event["pid"], event["tid"]), []).append(event)
    named = {(e["pid"], e["tid"]) for e in content["traceEvents"] if e["name"] == "thread_name"}
    assert named == set(spans)
    steps = 0
    for track in spans.values():
        stack: list[int] = []
        for event in sorted(track, key=lambda e: (e["ts"], -e["dur"])):
            start, end = round(event["ts"] * 1e3), round((event["ts"] + event["dur"]) * 1e3)
            while stack and stack[-1] <= start:
                stack.pop()
            assert not stack or end <= stack[-1]
            stack.append(end)
            steps += event["cat"] == "step"
    assert steps == len(tables["steps"]["steps"])


def test_vllm_statistics_follow_from_its_own_lists(run: Path, tmp_path: Path) -> None:
    result = json.loads(export(run, "vllm", tmp_path / "vllm.json").read_text())
    assert result == json.loads((run / "vllm.json").read_text())
    done = np.array([not error for error in result["errors"]])
    assert result["num_prompts"] == 150 == len(result["ttfts"]) == len(result["start_times"])
    assert result["completed"] == np.count_nonzero(done)
    assert result["failed"] == 150 - result["completed"] > 2
    ttfts = np.array(result["ttfts"])[done] * 1e3
    assert result["mean_ttft_ms"] == pytest.approx(np.mean(ttfts))
    assert result["p99_ttft_ms"] == pytest.approx(np.percentile(ttfts, 99))
    assert result["median_ttft_ms"] == result["p50_ttft_ms"]
    lens = np.array(result["output_lens"])[done]
    e2el, many = np.array(result["latencies"])[done], lens > 1
    tpot = (e2el - ttfts / 1e3)[many] / (lens[many] - 1)
    assert result["mean_tpot_ms"] == pytest.approx(np.mean(tpot) * 1e3)
    assert result["request_throughput"] == pytest.approx(result["completed"] / result["duration"])
    assert result["max_output_tokens_per_s"] > 0
    assert 0 < result["max_concurrent_requests"] <= 148


def test_aiperf_records(run: Path, tmp_path: Path) -> None:
    lines = export(run, "aiperf", tmp_path / "out.jsonl").read_text().splitlines()
    _, _, tables = read_run_folder(run)
    table = tables["requests"]
    assert len(lines) == 150
    for i, record in enumerate(json.loads(line) for line in lines):
        assert record["metadata"]["x_request_id"] == table["request_id"][i]
        if table["status"][i] != "completed":
            assert record["error"]["type"] == table["status"][i] and not record["metrics"]
            continue
        metrics = record["metrics"]
        assert metrics["time_to_first_token"]["unit"] == "ms"
        late = (table["first_token_s"][i] - table["arrival_s"][i]) * 1e3
        assert metrics["time_to_first_token"]["value"] == pytest.approx(late, rel=1e-9)
        assert metrics["output_sequence_length"]["value"] == table["output_tokens"][i]
        assert ("inter_token_latency" in metrics) == (table["output_tokens"][i] > 1)


def test_csv_of_one_and_of_all_tables(run: Path, tmp_path: Path) -> None:
    _, _, tables = read_run_folder(run)
    with export(run, "csv", tmp_path / "anything.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["request_id"] for row in rows] == tables["requests"]["request_id"]
    for row, finish in zip(rows, tables["requests"]["finish_s"], strict=True):
        assert row["finish_s"] == "" if np.isnan(finish) else float(row["finish_s"]) == finish
    with export(run, "csv", tmp_path / "steps.csv").open(newline="") as file:
        assert len(list(csv.reader(file))) == 1 + len(tables["steps"]["steps"])
    folder = export(run, "csv", tmp_path / "tables")
    assert {path.name for path in folder.iterdir()} == {f"{name}.csv" for name in tables}


def test_parquet_of_one_table(run: Path, tmp_path: Path) -> None:
    from hwsim.export._tables import read_parquet

    _, _, tables = read_run_folder(run)
    table = read_parquet(export(run, "parquet", tmp_path / "steps.parquet"))
    assert list(table) == list(tables["steps"])
    assert np.array_equal(table["start_ticks"], tables["steps"]["start_ticks"])
