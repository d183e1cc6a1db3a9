"""A recorded serving run: how the engine was set up, when each request did what, and what the engine said each second.

A recording is three files with one stem: ``STEM_meta.json`` (engine settings), ``STEM_requests.csv`` (one line per
request) and, if it was kept, ``STEM_timeseries.csv``; tables may be gzipped.  A JSON-lines trace beside them with the
same lengths in the same order tells which prompts begin alike.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from hwsim.errors import Problem, ScenarioError
from hwsim.study.measured import MOST_PROBLEMS, lines

REQUESTS = ("input_tokens", "output_tokens", "arrival_s", "first_token_s", "last_token_s")
SERIES = ("t", "running", "waiting")
KV = "kv_cache_pct"
ENDINGS = (".csv.gz", ".csv")
TRACES = (".jsonl", ".jsonl.gz")
CLOCKS = 0.05  # seconds that two clocks of one recording may disagree

Prefix = tuple[tuple[int, ...], int]  # ids of full blocks and tokens of a block


@dataclass
class Recording:
    """One run as plain columns; ``settings`` are the engine's own names and values."""

    name: str
    engine: str
    settings: dict[str, Any]
    gpu: str
    memory_share: float | None
    requests: dict[str, list[float]]
    series: dict[str, list[float]] = field(default_factory=dict)
    prefixes: list[Prefix] = field(default_factory=list)

    @property
    def model(self) -> str:
        """The Hugging Face id of the model."""
        return str(self.settings["model"])

    def __len__(self) -> int:
        return len(self.requests["arrival_s"])

    def ttft_ms(self) -> list[float]:
        """Arrival at the engine's front end to the first token, per request."""
        return _differences(self.requests["arrival_s"], self.requests["first_token_s"])

    def e2e_ms(self) -> list[float]:
        """Arrival to the last token, per request."""
        return _differences(self.requests["arrival_s"], self.requests["last_token_s"])

    def tpot_ms(self) -> list[float | None]:
        """(last - first token) / (output tokens - 1), per request with more than one."""
        whole = _differences(self.requests["first_token_s"], self.requests["last_token_s"])
        tokens = self.requests["output_tokens"]
        return [time / (count - 1) if count > 1 else None for time, count in zip(whole, tokens, strict=True)]


def _differences(first: Sequence[float], second: Sequence[float]) -> list[float]:
    return [(b - a) * 1e3 for a, b in zip(first, second, strict=True)]


def recordings(path: Path) -> list[Recording]:
    """The recordings of a folder, or the one of a file of it; what is none or damaged raises ``ScenarioError``."""
    metas = sorted(path.glob("*_meta.json")) if path.is_dir() else [_meta_of(path)]
    if not metas:
        raise ScenarioError.of("no recording", where=str(path), expected="files STEM_meta.json and STEM_requests.csv")
    return [_recording(meta) for meta in metas]


def _meta_of(path: Path) -> Path:
    for part in ("_meta", "_requests", "_timeseries"):
        stem, found, _ = path.name.partition(part)
        if found:
            return path.with_name(f"{stem}_meta.json")
    raise ScenarioError.of("not part of a recording", where=str(path), expected="STEM_meta.json or STEM_requests.csv")


def _recording(meta: Path) -> Recording:
    stem = meta.name.removesuffix("_meta.json")
    try:
        data = json.loads(meta.read_text(encoding="utf-8"))
        inside = next(value for value in data.values() if isinstance(value, dict) and "engine_kwargs" in value)
        settings = dict(inside["engine_kwargs"])
        settings.setdefault("model", inside.get("model"))
        family = next(key for key, value in data.items() if value is inside)
        version = str(inside.get(f"{family}_version") or inside.get("version") or "")
    except (OSError, ValueError, AttributeError, StopIteration) as error:
        what = f"cannot be read: {error or 'no engine_kwargs'}"
        raise ScenarioError.of(what, where=str(meta), expected='{"vllm": {"engine_kwargs": {…}, …}, …}') from None
    instance = next(_instances(data), {})
    gpu = str(inside.get("gpu") or instance.get("hardware") or "")
    missing = [name for name, value in (("model", settings["model"]), ("hardware", gpu)) if not value]
    if missing:
        raise ScenarioError.of(f"names no {' and no '.join(missing)}", where=str(meta))
    share = settings.get("gpu_memory_utilization", (instance.get("npu_mem") or {}).get("mem_util"))
    requests = _table(_beside(meta, stem, "requests"), REQUESTS)
    _in_order(requests, _beside(meta, stem, "requests"))
    kept = _beside(meta, stem, "timeseries", needed=False)
    series = _table(kept, SERIES, (KV,)) if kept is not None else {}
    prefixes = _prefixes(meta.parent, requests)
    return Recording(stem, f"{family} {version}".strip(), settings, gpu, share, requests, series, prefixes)


def _instances(node: Any) -> Iterator[dict[str, Any]]:
    """Descriptions of the machine, as the source gives them: the first entry that names its hardware."""
    if isinstance(node, dict):
        if isinstance(node.get("hardware"), str):
            yield node
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _instances(child)


def _beside(meta: Path, stem: str, part: str, *, needed: bool = True) -> Any:
    for ending in ENDINGS:
        found = meta.with_name(f"{stem}_{part}{ending}")
        if found.is_file():
            return found
    if needed:
        raise ScenarioError.of(f"{stem}_{part}.csv is missing", where=str(meta), expected="it beside the settings")
    return None


def _table(path: Path, needed: Sequence[str], others: Sequence[str] = ()) -> dict[str, list[float]]:
    """The numbers of a table by column; every row that holds none is named."""
    found: dict[str, list[float]] = {name: [] for name in needed}
    problems: list[Problem] = []
    for line, row in lines(path, needed):
        for name in (*needed, *(name for name in others if name in row)):
            try:
                value = float(row[name])
            except ValueError:
                value = math.nan
            if not math.isfinite(value):
                problems.append(Problem(f"{name} is not a finite number", f"{path}:{line}", repr(row[name][:40])))
            found.setdefault(name, []).append(value)
    if problems:
        raise ScenarioError(problems[:MOST_PROBLEMS])
    if not found[needed[0]]:
        raise ScenarioError.of("has no rows", where=str(path), expected=", ".join(needed))
    return found


def _in_order(requests: dict[str, list[float]], path: Path) -> None:
    """A request arrives, then has its first token, then its last, and no fewer than one token."""
    problems = []
    for place, cells in enumerate(zip(*(requests[name] for name in REQUESTS), strict=True)):
        inputs, outputs, arrival, first, last = cells
        if inputs < 1 or outputs < 1:
            problems.append(Problem("has no tokens", f"{path}:{place + 2}", f"{inputs:g} in, {outputs:g} out"))
        elif not arrival - CLOCKS <= first <= last + CLOCKS:
            got = f"arrival {arrival:g} s, first token {first:g} s, last {last:g} s"
            problems.append(Problem("times are not in order", f"{path}:{place + 2}", got))
    if problems:
        raise ScenarioError(problems[:MOST_PROBLEMS])


def _prefixes(folder: Path, requests: dict[str, list[float]]) -> list[Prefix]:
    """The prompt blocks of a trace with these very lengths, ``[]`` where none is beside the recording."""
    from hwsim.workload.trace import Row
    from hwsim.workload.traces.mooncake import PART as MOONCAKE

    wanted = [(int(a), int(b)) for a, b in zip(requests["input_tokens"], requests["output_tokens"], strict=True)]
    for path in sorted(path for path in folder.iterdir() if path.name.endswith(TRACES)):
        rows = [row for _, row in islice(MOONCAKE.rows(path), len(wanted) + 1) if isinstance(row, Row)]
        if [(row.input_tokens, row.output_tokens) for row in rows] == wanted:
            return [(row.prefix_ids, row.prefix_block) for row in rows]
    return []
