"""What arrives in a run: one stream or several merged in time, each a trace or drawn arrivals and lengths."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.errors import ScenarioError
from hwsim.kernel.random import Stream
from hwsim.part import Parts
from hwsim.units import TICKS_PER_SECOND, parse
from hwsim.workload.requests import CHUNK, Requests
from hwsim.workload.trace import Trace, locate

ARRIVALS = Parts("hwsim.workload.arrivals")
LENGTHS = Parts("hwsim.workload.lengths")
LATEST = 9_000_000 * TICKS_PER_SECOND  # 64-bit picoseconds hold 106 days


class Workload:
    """A resolved ``workload:`` section; ``chunks(seed)`` streams its requests in order of arrival.

    ``closed`` is the number of clients of a closed loop (None for an open one) and ``think`` their pause in ticks;
    ``total`` the number of requests where it is known beforehand.
    """

    def __init__(self, streams: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
        self.streams = {name: dict(spec) for name, spec in streams.items()}
        self.folder = folder
        self.warnings: list[str] = []
        self.closed: int | None = None
        self.think = 0
        for spec in self.streams.values():
            arrivals = spec.get("arrivals") or {}
            if arrivals.get("kind") == "closed":
                self.closed = int(parse(arrivals["concurrency"], "count"))
                self.think = round(float(parse(arrivals.get("think") or "0 s", "s")) * TICKS_PER_SECOND)
        if self.closed is not None and len(self.streams) > 1:
            raise ScenarioError.of("a closed loop cannot be merged with other streams", where="workload.streams")

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any], *, base_dir: Path | None = None) -> Workload:
        """From the plain section of a scenario; fields beside ``streams`` are their defaults."""
        streams = spec.get("streams")
        common = {key: value for key, value in spec.items() if key != "streams"}
        members = {name: {**common, **stream} for name, stream in streams.items()} if streams else {"": common}
        for name, member in members.items():
            if member.get("trace") is None and (
                member.get("input_tokens") is None or member.get("output_tokens") is None
            ):
                raise ScenarioError.of(
                    "the workload says neither what arrives nor how long it is",
                    where=f"workload.streams.{name}" if name else "workload",
                    expected="trace, or arrivals with input_tokens and output_tokens",
                )
        return cls(members, base_dir or Path.cwd())

    @property
    def total(self) -> int | None:
        """The number of requests, or None when a trace or a duration decides."""
        counts = [spec.get("requests") for spec in self.streams.values()]
        if any(count is None for count in counts) or any(spec.get("trace") for spec in self.streams.values()):
            return None
        return sum(int(parse(count, "count")) for count in counts)

    def chunks(self, seed: int) -> Iterator[Requests]:
        """All requests of all streams in order of arrival (ties in the order of the streams)."""
        streams = [self._stream(name, spec, seed) for name, spec in self.streams.items()]
        yield from streams[0] if len(streams) == 1 else _merged(streams)

    def describe(self) -> dict[str, Any]:
        """What arrives, in words and figures."""
        return {name or "workload": spec for name, spec in self.streams.items()}

    def _stream(self, name: str, spec: Mapping[str, Any], seed: int) -> Iterator[Requests]:
        if spec.get("trace") is not None:
            trace = Trace(locate(str(spec["trace"]), self.folder), spec.get("format"))
            yield from (_limited(chunk, spec) for chunk in trace.requests(spec))
        else:
            yield from _drawn(name, spec, seed, self.folder)


def _drawn(name: str, spec: Mapping[str, Any], seed: int, folder: Path) -> Iterator[Requests]:
    """Requests whose arrivals and lengths are drawn, a chunk at a time."""
    arrivals = spec.get("arrivals") or {"kind": "closed", "concurrency": 1}
    gaps = ARRIVALS.get(arrivals["kind"])
    count = int(parse(spec["requests"], "count")) if spec.get("requests") is not None else None
    duration = round(float(parse(spec["duration"], "s")) * TICKS_PER_SECOND) if spec.get("duration") else None
    if count is None and (duration is None or arrivals["kind"] == "closed"):
        raise ScenarioError.of("how many requests?", where="workload.requests", expected="requests: N or duration")
    scale = float(parse(spec["rate_scale"], "number")) if spec.get("rate_scale") is not None else 1.0
    clock = start = 0
    while count is None or start < count:
        size = CHUNK if count is None else min(CHUNK, count - start)
        step = gaps(arrivals, Stream(seed, f"{name}/arrivals"), size, start)
        if scale != 1.0:
            step = np.rint(step / scale).astype(np.int64)
        if clock + float(step.sum(dtype=np.float64)) > LATEST:
            raise ScenarioError.of("arrivals reach beyond 104 days", where="workload", expected="fewer or faster")
        times = clock + np.cumsum(step)
        clock = int(times[-1])
        chunk = _with_lengths(name, spec, seed, folder, times, start)
        start += size
        if duration is not None and clock >= duration:
            yield chunk.part(0, int(np.searchsorted(times, duration)))
            return
        yield chunk


def _with_lengths(
    name: str, spec: Mapping[str, Any], seed: int, folder: Path, times: np.ndarray, start: int
) -> Requests:
    def lengths(field: str) -> np.ndarray:
        value = spec[field]
        parameters = value if isinstance(value, Mapping) else {"kind": "constant", "value": value}
        draw = LENGTHS.get(parameters["kind"])
        return draw(parameters, Stream(seed, f"{name}/{field}"), len(times), start, folder)

    chunk = Requests.of(times, lengths("input_tokens"), lengths("output_tokens"))
    chunk = _limited(chunk, spec)
    prefix = spec.get("prefix")
    if prefix:
        _share_prefixes(chunk, prefix, Stream(seed, f"{name}/prefix"), start)
    return chunk


def _limited(chunk: Requests, spec: Mapping[str, Any]) -> Requests:
    """The visible limit and the priority that the scenario gives to all requests of a stream."""
    limit, priority = spec.get("max_tokens"), spec.get("priority")
    if limit is not None:
        most = int(parse(limit, "tokens"))
        chunk.max_tokens = np.full(len(chunk), most, dtype=np.int64)
        chunk.output_tokens = np.minimum(chunk.output_tokens, most)
        chunk.eos = chunk.output_tokens < most
    if priority is not None:
        chunk.priority = np.full(len(chunk), int(parse(priority, "count", negative=True)), dtype=np.int64)
    return chunk


def _share_prefixes(chunk: Requests, prefix: Mapping[str, Any], stream: Stream, start: int) -> None:
    """A share of the requests begins with the text of one of ``groups`` common prefixes of ``tokens`` tokens."""
    share = float(parse(prefix["share"], "share"))
    tokens = int(parse(prefix["tokens"], "tokens"))
    groups = int(parse(prefix.get("groups") or 1, "count"))
    draws = stream.uniform(len(chunk), start).tolist()
    chunk.prefix_block = tokens
    chunk.prefix_ids = [(int(draw / share * groups),) if draw < share else () for draw in draws]
    longer = np.maximum(chunk.input_tokens, tokens + 1)
    chunk.input_tokens = np.where([bool(ids) for ids in chunk.prefix_ids], longer, chunk.input_tokens)


def _merged(streams: list[Iterator[Requests]]) -> Iterator[Requests]:
    """Chunks of several streams as one, in order of arrival."""

    def keyed(number: int, stream: Iterator[Requests]) -> Iterator[tuple[int, int, int, Requests, int]]:
        position = 0
        for chunk in stream:
            for i, arrival in enumerate(chunk.arrival.tolist()):
                yield arrival, number, position, chunk, i
                position += 1

    batch: list[tuple[Requests, int]] = []
    for _, _, _, chunk, i in heapq.merge(*(keyed(n, s) for n, s in enumerate(streams)), key=lambda item: item[:3]):
        batch.append((chunk, i))
        if len(batch) == CHUNK:
            yield _gathered(batch)
            batch = []
    if batch:
        yield _gathered(batch)


def _gathered(batch: list[tuple[Requests, int]]) -> Requests:
    def column(name: str) -> np.ndarray:
        return np.array([getattr(chunk, name)[i] for chunk, i in batch])

    blocks = sorted({chunk.prefix_block for chunk, _ in batch if chunk.prefix_ids is not None})
    if len(blocks) > 1:
        raise ScenarioError.of(
            "streams with prefix blocks of different size", where="workload.streams", got=", ".join(map(str, blocks))
        )
    prefixes = [chunk.prefix_ids[i] if chunk.prefix_ids is not None else () for chunk, i in batch] if blocks else None
    return Requests(
        *(column(name) for name in ("arrival", "input_tokens", "output_tokens", "max_tokens", "eos", "priority")),
        prefix_ids=prefixes,
        prefix_block=blocks[0] if blocks else 0,
    )
