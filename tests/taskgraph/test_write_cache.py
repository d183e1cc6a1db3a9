"""Writes to a drive with a fast cache: bursts, then the sustained rate, and pauses in which the cache empties."""

from __future__ import annotations

from typing import Any

import pytest

from hwsim.hardware.find import find_device
from hwsim.hardware.storage import Drive
from hwsim.scenario.load import load
from hwsim.scenario.run import run

DRIVE = "samsung-970-evo-1tb"  # 2.5 GB/s into 36 GB, 1.2 GB/s after that
HELD = 36e9 / (1 - 1.2 / 2.5)


def seconds(tasks: dict[str, Any], count: int = 1, **more: Any) -> float:
    node = {"like": "workstation", "ssd": {"like": DRIVE, "count": count}}
    scenario = {"hwsim": 1, "name": "writes", "system": {"node": node}, "graph": {"tasks": tasks}}
    return run(load(scenario), **more).summary["simulated_seconds"]


def loop(times: int, pause: str | None = None) -> dict[str, Any]:
    inner: dict[str, Any] = {"write": {"copy": "10 GB", "from": "dram", "to": "ssd"}}
    if pause is not None:
        inner |= {"pause": {"wait": pause, "after": "write"}}
        inner["write"] = {**inner["write"], "after": "pause@-1"}
    return {"all": {"loop": times, "tasks": inner}}


@pytest.mark.parametrize("times", [1, 6, 7, 40])
def test_a_row_of_writes_takes_what_one_of_all_takes(times: int) -> None:
    drive = Drive(find_device(DRIVE, "ssd"))
    assert seconds(loop(times)) == pytest.approx(drive.write_seconds(times * 10e9), rel=1e-4)


def test_folded_equals_unfolded() -> None:
    for tasks in (loop(500), loop(300, "2 s"), loop(300, "20 s")):
        assert seconds(tasks) == seconds(tasks, record="full")


def test_a_pause_empties_the_cache() -> None:
    # 10 GB at burst speed leave 5.2 GB in the cache; a pause of 4.4 s takes them out again
    assert seconds(loop(50, "4.4 s")) == pytest.approx(50 * (4.0 + 4.4), rel=1e-3)
    assert seconds(loop(50, "1 s")) > 50 * (4.0 + 1.0) * 1.2


def test_a_volume_has_the_caches_of_its_drives() -> None:
    assert seconds(loop(12), count=2) == pytest.approx(120e9 / 5e9, rel=1e-3)
    assert 2 * HELD > 120e9


def test_small_accesses_and_reads_are_as_before() -> None:
    slow = {"write": {"copy": "1 GB", "from": "dram", "to": "ssd", "io_size": "4 KiB", "queue_depth": 1}}
    assert seconds(slow) > 1.0
    assert seconds({"read": {"copy": "3.4 GB", "from": "ssd", "to": "dram"}}) == pytest.approx(1.0, rel=1e-3)
