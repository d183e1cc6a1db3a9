"""One sequence on consumer GPUs, workstations and CPUs: prefill and decode speed from the prices of single steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from hwsim.study import naming
from hwsim.study.cases import Case, rows_of, run_cases, scenario_of, skipped
from hwsim.study.measured import Point, points, whole
from hwsim.study.protocol import protocol
from hwsim.study.rows import Row
from hwsim.study.suites.saturated import files

NAME = "single"
FILES = ("llama_cpp.csv",)
PROMPT = 1024  # of a prefill row without a length, as the collection's other rows have it
CONTEXT = 512  # tokens in front of a decoded one where the answer is 1,024 long and the prompt short
ENGINE = "vllm"  # lends its file of host times, which single steps do not use


class Single:
    """llama.cpp and relatives with one sequence: nothing is scheduled, so only the prices of steps are compared."""

    title = "single sequence on consumer GPUs and CPUs"

    def run(self, data: Path | None = None, progress: Callable[[float, str], None] | None = None) -> list[Row]:
        """Rows of a file, a folder of files, or the collection."""
        return run_cases(self.cases(data), progress)

    def cases(self, data: Path | None = None) -> Iterator[Case]:
        """Every point as a case."""
        for path in files(data, FILES):
            for point in points(path):
                case = case_of(point)
                if case.rows:
                    yield case


def case_of(point: Point) -> Case:
    """A point as two prices of steps."""
    formulas = {
        "decode_speed": f"1000 / decode_step(1, {max(whole(point.isl), CONTEXT)})",
        "prefill_speed": f"{whole(point.isl) or PROMPT} * 1000 / prefill_step({whole(point.isl) or PROMPT}, 0)",
    }
    rows = rows_of(NAME, point, [name for name in formulas if name in point.metrics])
    if not rows:
        return Case([], [])
    if max(point.gpus, 1) > 1:
        return skipped(rows, "layers split over several GPUs run one after the other: not part of this suite")
    try:
        name = point.gpu.rpartition(" ")[0] if point.gpu.endswith("GB") else point.gpu
        point.gpu = naming.gpu(name)
        scenario, _ = scenario_of(point, protocol("static-batch"), isl=PROMPT, osl=16, clients=1, engine=ENGINE)
    except naming.Unknown as unknown:
        return skipped(rows, f"not built: {unknown}")
    for row in rows:
        row.note = "prices of the steps alone, without the host time of the engine"
        row.device = point.gpu
    return Case(rows, [formulas[row.metric] for row in rows], scenario)


PART = Single()
