"""Power of boards: a floor between idle and the limit, more per FLOP and byte, nothing made up for what is unknown."""

from __future__ import annotations

import pytest

from hwsim.hardware import System
from hwsim.hardware.power import STANDBY_SHARE, TILE_LOSS, draw
from hwsim.metrics.energy import energy


def gpu(name: str):
    return next(iter(System.of({"node": name}).groups.values())).node.gpu


def test_a_loaded_server_draws_more_than_an_idle_board_and_less_than_its_limit() -> None:
    board = gpu("hgx-h100")
    found = draw(board)
    idle, standby, most = found["idle_w"], found["standby_w"], found["tdp_w"]
    assert idle is not None and standby is not None and most is not None
    assert (standby - idle) / (most - idle) == pytest.approx(STANDBY_SHARE)
    assert found["pj_per_flop"] == pytest.approx(board.need("pj_per_flop") * 1e12 * TILE_LOSS)
    assert draw(None)["idle_w"] == 0.0 and draw(None)["pj_per_flop"] is None


def test_gpus_in_use_stand_by_and_others_idle() -> None:
    """Two of four boards in use, no work done: the floor of two and the idle power of two, for ten seconds."""
    group = {"gpus": 4, "used": 2, "host_w": 0.0, "idle_w": 70.0, "standby_w": 200.0, "tdp_w": 700.0}
    group |= {"pj_per_flop": 1.0, "pj_per_byte": 100.0}
    owned = {"groups": {"node": group}, "network_w": 0.0, "pue": 1.0}
    amounts = {"gpu.tensor": 0.0, "gpu.hbm": 1e12}
    found = energy({"owned": owned, "simulated_seconds": 10.0, "amounts_by_group": {"node": amounts}})
    assert found["energy_gpu_joules"] == pytest.approx(2 * 200 * 10 + 100.0)
    assert found["energy_joules"] == pytest.approx(2 * 200 * 10 + 100.0 + 2 * 70 * 10)
