"""hwsim: a discrete-event simulator of heterogeneous LLM inference systems.

``load`` reads a YAML scenario, ``run`` simulates it, ``Result`` holds what came out.  Names are imported when first
used, so that ``import hwsim`` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Result", "Scenario", "__version__", "load", "run"]

if TYPE_CHECKING:
    from hwsim.scenario.load import Scenario, load
    from hwsim.scenario.result import Result
    from hwsim.scenario.run import run

_HOMES = {
    "load": "hwsim.scenario.load",
    "Scenario": "hwsim.scenario.load",
    "run": "hwsim.scenario.run",
    "Result": "hwsim.scenario.result",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'hwsim' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
