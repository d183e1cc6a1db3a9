"""Memories: texts that are known beforehand and stand at the start of prompts, so that their KV can be computed before.

A request has one of ``count`` memories, whose popularity falls as a power ``skew`` of the rank (Zipf), and its own
``input_tokens`` behind it.  Memories are whole blocks of ``block`` tokens.  Source: MemOS (arXiv:2507.03724).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.kernel.random import Stream
from hwsim.part import Parts
from hwsim.units import parse
from hwsim.workload.requests import Requests

LENGTHS = Parts("hwsim.workload.lengths")
BLOCK = 64  # tokens


class Memories:
    """The memories of one stream; memories of two streams are different texts."""

    def __init__(self, name: str, spec: Mapping[str, Any], seed: int, folder: Path) -> None:
        self.spec = spec
        self.count = int(parse(spec["count"], "count"))
        self.block = int(parse(spec.get("block") or BLOCK, "tokens"))
        self.share = float(parse(spec["share"], "share")) if spec.get("share") is not None else 1.0
        self.skew = float(parse(spec["skew"], "number")) if spec.get("skew") is not None else 1.0
        self._name, self._seed, self._folder = name, seed, folder
        digest = hashlib.blake2b(f"{name}/memories".encode(), digest_size=6).digest()
        self._first = int.from_bytes(digest, "little") << 24

    @property
    def injected(self) -> bool:
        """Whether their KV is there before the first request."""
        return self.spec.get("inject", "kv") == "kv"

    @cached_property
    def blocks(self) -> np.ndarray:
        """Blocks of each memory, the most popular one first; at least one."""
        value = self.spec["tokens"]
        parameters = value if isinstance(value, Mapping) else {"kind": "constant", "value": value}
        stream = Stream(self._seed, f"{self._name}/memories")
        tokens = LENGTHS.get(parameters["kind"])(parameters, stream, self.count, 0, self._folder)
        return np.maximum(tokens // self.block, 1)

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.cumsum(np.arange(1, self.count + 1, dtype=np.float64) ** -self.skew)

    def ids(self, memory: int) -> tuple[int, ...]:
        """The names of the blocks of a memory."""
        first = (self._first + memory) << 20
        return tuple(range(first, first + int(self.blocks[memory])))

    def put_before(self, chunk: Requests, start: int) -> None:
        """Give requests (numbers ``start`` …) their memories, before what they ask."""
        draws = Stream(self._seed, f"{self._name}/memory").uniform(len(chunk), start)
        has = draws < self.share
        chosen = np.searchsorted(self._ends, draws / self.share * self._ends[-1], side="right")
        chosen = np.minimum(chosen, self.count - 1)
        chunk.prefix_block = self.block
        known: dict[int, tuple[int, ...]] = {}
        ids: list[tuple[int, ...]] = []
        for memory, with_one in zip(chosen.tolist(), has.tolist(), strict=True):
            if not with_one:
                ids.append(())
                continue
            if memory not in known:
                known[memory] = self.ids(memory)
            ids.append(known[memory])
        chunk.prefix_ids = ids
        chunk.input_tokens = chunk.input_tokens + np.where(has, self.blocks[chosen] * self.block, 0)
