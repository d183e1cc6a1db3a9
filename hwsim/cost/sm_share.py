"""A part of a GPU's SMs: how much slower each kind of work is on it.

Compute takes ``1 / share`` as long.  Few SMs cannot keep all of the memory busy: bandwidth reaches ``(1 - exp(-share /
reach)) / (1 - exp(-1 / reach))`` of the whole, which rises fast and is nearly flat beyond half of the SMs; ``reach`` is
fitted to published slow-downs of decode by share (see ``sm_share.yaml``).  Launches and links stay as they are.
"""

from __future__ import annotations

from functools import cache
from math import exp
from pathlib import Path

import yaml

from hwsim.cost.price import Pricer
from hwsim.cost.scaled import Scaled

FIGURES = Path(__file__).with_name("sm_share.yaml")


@cache
def reach() -> float:
    """The share of SMs over which bandwidth comes up."""
    return float(yaml.safe_load(FIGURES.read_text(encoding="utf-8"))["reach"]["value"])


def bandwidth(share: float) -> float:
    """The part of the memory's bandwidth that this share of the SMs can use."""
    return (1 - exp(-share / reach())) / (1 - exp(-1 / reach()))


def on_share(pricer: Pricer, share: float) -> Scaled:
    """The prices of a pricer on a part of the SMs."""
    if not 0 < share <= 1:
        raise ValueError(f"a share of the SMs is in (0, 1], got {share}")
    return Scaled(pricer, 1.0, {"tensor": 1 / share, "hbm": 1 / bandwidth(share), "constant": 1 / share})
