"""Disk throughput by block size and queue depth, past the page cache (direct I/O) where the file system allows it."""

from __future__ import annotations

import mmap
import os
import threading
import time
from pathlib import Path
from typing import NamedTuple

ALIGN = 4096
BLOCKS = (4 << 10, 16 << 10, 128 << 10, 1 << 20)
DEPTHS = (1, 4, 16)
SEED_STEP = 2_654_435_761  # a multiplier that visits blocks in no order a drive could foresee (Knuth)


class DiskPoint(NamedTuple):
    """Bytes/s of one pattern; ``direct`` says whether the page cache was passed by."""

    write: bool
    block: int
    depth: int
    bandwidth: float
    direct: bool


def measure_disk(
    folder: Path, *, size: int, seconds: float, blocks: tuple[int, ...], depths: tuple[int, ...]
) -> list[DiskPoint]:
    """Write a file of ``size`` bytes, then read and write its blocks for ``seconds`` each; it is removed again."""
    path = folder / f".hwsim-disk-{os.getpid()}"
    try:
        direct = _fill(path, size)
        return [
            _pattern(path, size, write, block, depth, seconds, direct)
            for write in (False, True)
            for block in blocks
            for depth in depths
        ]
    finally:
        path.unlink(missing_ok=True)


def _open(path: Path, flags: int, direct: bool) -> int:
    return os.open(path, flags | (getattr(os, "O_DIRECT", 0) if direct else 0), 0o600)


def _fill(path: Path, size: int) -> bool:
    """Write the file; False if the file system refuses direct I/O."""
    block = 1 << 20
    buffer = mmap.mmap(-1, block)  # anonymous maps start on a page, as direct I/O asks for
    buffer.write(os.urandom(block))
    direct = hasattr(os, "O_DIRECT")
    while True:
        file = -1
        try:
            file = _open(path, os.O_CREAT | os.O_RDWR | os.O_TRUNC, direct)
            for at in range(0, size, block):
                os.pwrite(file, buffer, at)
            os.fsync(file)
            return direct
        except OSError:
            if not direct:
                raise
            direct = False
        finally:
            if file >= 0:
                os.close(file)


def _pattern(path: Path, size: int, write: bool, block: int, depth: int, seconds: float, direct: bool) -> DiskPoint:
    """``depth`` threads, each with one request at a time, over blocks in scattered order."""
    counts = [0] * depth
    blocks = size // block
    start = time.perf_counter()
    end = start + seconds

    def work(number: int) -> None:
        file = _open(path, os.O_RDWR, direct)
        buffer = mmap.mmap(-1, max(block, ALIGN))
        view = memoryview(buffer)[:block]
        index = number
        try:
            while time.perf_counter() < end:
                at = index * SEED_STEP % blocks * block
                if write:
                    os.pwrite(file, view, at)
                else:
                    os.preadv(file, [view], at)
                counts[number] += 1
                index += depth
            if write and not direct:
                os.fsync(file)
        finally:
            view.release()
            os.close(file)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(depth)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return DiskPoint(write, block, depth, sum(counts) * block / (time.perf_counter() - start), direct)
