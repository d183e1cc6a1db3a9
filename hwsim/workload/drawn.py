"""Requests that are drawn: arrivals from a process, lengths from distributions, shared prefixes from groups."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.errors import ScenarioError
from hwsim.kernel.random import Stream
from hwsim.part import Parts
from hwsim.units import TICKS_PER_SECOND, parse
from hwsim.workload.coupled import Coupled
from hwsim.workload.memories import Memories
from hwsim.workload.process import Gridded, Process, Renewal, Stretched, truth
from hwsim.workload.requests import CHUNK, Requests

ARRIVALS = Parts("hwsim.workload.arrivals")
LENGTHS = Parts("hwsim.workload.lengths")
PREFIX_BLOCK = 512


def process_of(name: str, spec: Mapping[str, Any], seed: int, total: int | None) -> Process:
    """The arrival process of a stream; ``total`` is the number of requests, where it is known."""
    arrivals = spec.get("arrivals") or {"kind": "closed", "concurrency": 1}
    part = ARRIVALS.get(arrivals["kind"])
    scale = float(parse(spec["rate_scale"], "number")) if spec.get("rate_scale") is not None else 1.0

    def stream(question: str) -> Stream:
        return Stream(seed, f"{name}/{question}")

    if isinstance(part, type):
        process = part(arrivals, stream, scale)
    else:
        make = partial(Renewal, part, arrivals, stream, scale)
        process = make()
        if truth(arrivals.get("exact_rate", False)):
            if total is None:
                raise ScenarioError.of(
                    "exact_rate needs a number", where="workload.arrivals.exact_rate", expected="requests: N"
                )
            process = Stretched(make, total, float(parse(arrivals["rate"], "1/s")) * scale)
    if arrivals.get("grid") is not None:
        process = Gridded(process, round(float(parse(arrivals["grid"], "s")) * TICKS_PER_SECOND))
    return process


def drawn(
    name: str, spec: Mapping[str, Any], seed: int, folder: Path, *, endless: bool = False, chunk: int = CHUNK
) -> Iterator[Requests]:
    """The requests of a stream, a chunk at a time (small ones first where ``chunk`` is small)."""
    count = int(parse(spec["requests"], "count")) if spec.get("requests") is not None and not endless else None
    duration = round(float(parse(spec["duration"], "s")) * TICKS_PER_SECOND) if spec.get("duration") else None
    closed = (spec.get("arrivals") or {"kind": "closed"})["kind"] == "closed"
    if count is None and not endless and (duration is None or closed):
        raise ScenarioError.of("how many requests?", where="workload.requests", expected="requests: N or duration")
    process = process_of(name, spec, seed, count)
    start = 0
    while count is None or start < count:
        size = chunk if count is None else min(chunk, count - start)
        times = process.times(size)
        found = with_lengths(name, spec, seed, folder, times, start)
        start += size
        chunk = min(2 * chunk, CHUNK)
        if duration is not None and int(times[-1]) >= duration:
            end = int(np.searchsorted(times, duration))
            if end:
                yield found.part(0, end)
            return
        yield found


def with_lengths(
    name: str, spec: Mapping[str, Any], seed: int, folder: Path, times: np.ndarray, start: int
) -> Requests:
    """Requests at ``times`` (numbers ``start`` …) with the lengths, limit, priority and prefix of a stream."""
    leader = Stream(seed, f"{name}/input_tokens")
    follower = Stream(seed, f"{name}/output_tokens")
    if spec.get("correlation") is not None:
        rank = float(parse(spec["correlation"], "number", negative=True))
        follower = Coupled(seed, f"{name}/output_tokens", leader, rank)

    def lengths(field: str, stream: Stream) -> np.ndarray:
        value = spec[field]
        parameters = value if isinstance(value, Mapping) else {"kind": "constant", "value": value}
        draw = LENGTHS.get(parameters["kind"])
        return draw(parameters, stream, len(times), start, folder)

    answers = lengths("output_tokens", follower)
    if spec.get("reasoning_tokens") is not None:
        answers = answers + lengths("reasoning_tokens", Stream(seed, f"{name}/reasoning_tokens"))
    chunk = limited(Requests.of(times, lengths("input_tokens", leader), answers), spec)
    prefix = spec.get("prefix")
    if prefix:
        _share_prefixes(chunk, prefix, Stream(seed, f"{name}/prefix"), start, name)
    if spec.get("memories"):
        Memories(name, spec["memories"], seed, folder).put_before(chunk, start)
    return chunk


def limited(chunk: Requests, spec: Mapping[str, Any]) -> Requests:
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


def _share_prefixes(chunk: Requests, prefix: Mapping[str, Any], stream: Stream, start: int, name: str) -> None:
    """A share of the requests begins with the text of one of ``groups``; groups of two streams are different texts."""
    share = float(parse(prefix["share"], "share"))
    groups = int(parse(prefix.get("groups") or 1, "count"))
    first = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=6).digest(), "little") << 24 if name else 0
    draws = stream.uniform(len(chunk), start).tolist()
    chosen = [int(draw / share * groups) if draw < share else None for draw in draws]
    if prefix.get("tokens") is not None:
        tokens = int(parse(prefix["tokens"], "tokens"))
        chunk.prefix_block = tokens
        chunk.prefix_ids = [() if group is None else (first + group,) for group in chosen]
        longer = np.maximum(chunk.input_tokens, tokens + 1)
        chunk.input_tokens = np.where([bool(ids) for ids in chunk.prefix_ids], longer, chunk.input_tokens)
        return
    portion = float(parse(prefix["portion"], "share"))
    block = int(parse(prefix.get("block") or PREFIX_BLOCK, "tokens"))
    chunk.prefix_block = block
    blocks = (chunk.input_tokens * portion).astype(np.int64) // block
    chunk.prefix_ids = [
        () if group is None else tuple(range((first + group) << 24, ((first + group) << 24) + size))
        for group, size in zip(chosen, blocks.tolist(), strict=True)
    ]
