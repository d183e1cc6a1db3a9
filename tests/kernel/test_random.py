"""Counter-based streams: position decides, nothing else."""

from __future__ import annotations

import hashlib
import os
import statistics
import subprocess
import sys

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.kernel.random import Stream

DRAWS = """
import hashlib
from hwsim.kernel.random import Stream
stream = Stream(7, "test")
h = hashlib.sha256()
for kind in ("integers", "uniform", "exponential", "normal"):
    h.update(getattr(stream, kind)(5000).tobytes())
print(h.hexdigest())
"""


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**63), st.text(max_size=20), st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_chunks_do_not_matter(seed: int, name: str, sizes: list[int]) -> None:
    stream = Stream(seed, name)
    whole = stream.uniform(sum(sizes))
    start, parts = 0, []
    for size in sizes:
        parts.append(Stream(seed, name).uniform(size, start))
        start += size
    assert np.array_equal(whole, np.concatenate(parts))
    assert ((whole >= 0) & (whole < 1)).all()


def test_streams_differ_by_seed_and_name() -> None:
    draws = {Stream(seed, name).integers(4).tobytes() for seed in (0, 1) for name in ("a", "b", "ab")}
    assert len(draws) == 6


def test_moments() -> None:
    stream = Stream(3, "moments")
    for values, mean, variance in (
        (stream.uniform(50_000), 0.5, 1 / 12),
        (stream.exponential(50_000), 1.0, 1.0),
        (stream.normal(50_000), 0.0, 1.0),
    ):
        assert abs(statistics.fmean(values) - mean) < 5 * (variance / 50_000) ** 0.5
        assert abs(values.var() / variance - 1) < 0.05


def test_cpu_features_do_not_matter() -> None:
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__  # type: ignore[attr-defined]

    features = [name for name in __cpu_dispatch__ if __cpu_features__.get(name)]
    digests = set()
    for disabled in ("", " ".join(features)):
        environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": disabled}
        if not disabled:
            del environment["NPY_DISABLE_CPU_FEATURES"]
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", DRAWS], env=environment, capture_output=True, text=True, check=True
        )
        digests.add(done.stdout.strip())
    assert len(digests) == 1
    assert len(next(iter(digests))) == len(hashlib.sha256().hexdigest())
