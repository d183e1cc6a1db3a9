"""Steady serving at a full batch: throughput, gap between tokens, mean batch and energy per token."""

from __future__ import annotations

import zlib

from hwsim.study import naming
from hwsim.study.cases import Case, rows_of, scenario_of, skipped
from hwsim.study.measured import Point, number, whole
from hwsim.study.protocol import Protocol, protocol
from hwsim.study.suite import Suite

NAME = "energy"
METRICS = {
    "output_throughput": "throughput.output",
    "itl_p50": "itl.p50",
    "energy_per_token": "energy.gpu_joules_per_output_token",
    "avg_power": "energy.gpu_joules_per_output_token * throughput.output",
}
# Prompt tokens by task: not given per row, assumed from what the tasks are.
PROMPTS = {"gpqa": 250, "lm-arena-chat": 150, "sourcegraph-fim": 600}
USUAL_PROMPT = 300
ENGINE = "vLLM 0.11"  # of the leaderboard's third version (end of 2025); the rows name no version
FIT_GROUPS = 3  # power was fitted on groups whose CRC-32 is a multiple of it (``hwsim.hardware.power``)
WAITING = 2  # clients for every sequence that may run, so that the batch stays full


class Energy(Suite):
    """ML.ENERGY rows: vLLM with ``max_num_seqs`` sequences and more waiting."""

    title = "steady serving and energy"
    targets = "throughput 12 % median"
    misses = (
        "small dense models on B200 are up to twice too fast, where the engine's host time binds: gaps are as short "
        "with long answers as with short ones, measured they are six times as long. Power of the boards is a tenth "
        "off on groups that no fit saw; energy per token is off by that and by the throughput. Prompt lengths and "
        "the engine's version are assumed"
    )

    files = ("ml_energy.csv",)

    def client(self, point: Point) -> Protocol | None:
        """More clients than may run."""
        return protocol("ml-energy") if point.load_kind == "max_num_seqs" else None

    def cases_of(self, point: Point, load: Protocol) -> list[Case]:
        """One case."""
        return [case_of(point, load)]


def case_of(point: Point, load: Protocol) -> Case:
    """One batch limit of one model and task."""
    rows = rows_of(NAME, point, [name for name in METRICS if name in point.metrics])
    for row in rows:
        if METRICS[row.metric].startswith("energy") and zlib.crc32(row.group.encode()) % FIT_GROUPS == 0:
            row.split = "fit"
        row.rank = f"{point.model}|{point.precision}|{point.isl}"
    osl, seqs = number(point.osl), whole(point.load)
    if not osl or not seqs:
        return skipped(rows, "load or lengths not given")
    prompt = PROMPTS.get(point.isl.removeprefix("task ").strip(), USUAL_PROMPT)
    serve: dict[str, object] = {"max_num_seqs": seqs}
    try:
        scenario, assumed = scenario_of(
            point,
            load,
            isl=prompt,
            osl=max(round(osl), 2),
            clients=WAITING * seqs,
            requests=max(4 * seqs, 16),
            serve=serve,
            engine=ENGINE if point.engine == "vLLM" else point.engine,
        )
    except naming.Unknown as unknown:
        return skipped(rows, f"not built: {unknown}")
    for row in rows:
        row.note = "; ".join(part for part in ("prompt length and engine version assumed", assumed) if part)
    return Case(rows, [METRICS[row.metric] for row in rows], scenario)


PART = Energy()
