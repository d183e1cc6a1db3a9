"""A trace file like Mooncake's conversation trace, of any length: conversations that grow by turns, in 512-token ids.

Every prompt begins with one common block; a third of the requests go on with one of the last few thousand
conversations, whose prompt and answer so far their own begins with; lengths are those of the trace (median 6,900 and
mean 12,000 tokens in, 350 out).
"""

from __future__ import annotations

import json
import random
from pathlib import Path

BLOCK = 512
GO_ON = 0.36
RECENT = 4000


def write(path: Path, requests: int, rate: float) -> None:
    """``requests`` lines at ``rate`` per second on average."""
    draw = random.Random(7)
    recent: list[list[int]] = []
    time, fresh = 0.0, 1
    with path.open("w", encoding="utf-8") as file:
        for _ in range(requests):
            time += draw.expovariate(rate)
            tokens = min(max(int(draw.lognormvariate(8.85, 1.05)), 900), 120_000)
            begun = recent[draw.randrange(len(recent))] if recent and draw.random() < GO_ON else [0]
            if len(begun) * BLOCK + 64 > tokens:
                tokens = min(len(begun) * BLOCK + draw.randrange(64, 4 * BLOCK), 126_000)
                begun = begun[: tokens // BLOCK]
            more = -(-tokens // BLOCK) - len(begun)
            ids = [*begun, *range(fresh, fresh + more)]
            fresh += more
            output = min(max(int(draw.gauss(350, 250)), 1), 2000)
            row = {"timestamp": round(time * 1000), "input_length": tokens, "output_length": output, "hash_ids": ids}
            file.write(json.dumps(row) + "\n")
            full = ids[: tokens // BLOCK]
            if len(recent) < RECENT:
                recent.append(full)
            else:
                recent[draw.randrange(RECENT)] = full
