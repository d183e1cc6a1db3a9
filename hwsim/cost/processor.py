"""Products of packed weights on a processor (llama.cpp's kernels): vector units take weights apart as they dot them.

Cores draw ``per_clock`` bytes of weights a clock, however wide the memory; batches reach ``compute`` of the vector
units' fp32 peak.  Simplification: all cores alike, at the base clock of the catalogue; AMX is not used.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hwsim.cost.arithmetic import norm

FIGURES = Path(__file__).with_name("processor.yaml")
SHARPNESS = 4.0  # how sharply the slower of cores and memory decides
PACKED = ("q2", "q3", "q4", "q5", "q6", "q8", "iq")  # names of GGUF formats begin so


@dataclass(frozen=True, slots=True)
class ProcessorLaw:
    """``per_clock``: bytes per core and clock; ``memory`` and ``compute``: shares of DRAM's rate and the fp32 peak."""

    memory: float
    per_clock: float
    compute: float

    def delivered(self, clocks: float | None, rate: float) -> float:
        """Share of a memory's ``rate`` (bytes/s) at which cores of ``clocks`` a second together read packed weights."""
        if not clocks:
            return self.memory
        return 1 / norm(SHARPNESS, 1 / self.memory, rate / (clocks * self.per_clock))


@cache
def law() -> ProcessorLaw:
    """The law with the committed figures."""
    import yaml

    figures = yaml.safe_load(FIGURES.read_text(encoding="utf-8"))
    return ProcessorLaw(*(float(figures[name]["value"]) for name in ("memory", "per_clock", "compute")))


def packed(weights: str) -> bool:
    """Whether weights in this format are read by such kernels."""
    return weights.startswith(PACKED)
