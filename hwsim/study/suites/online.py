"""Open-loop rate sweeps: latency and throughput at every rate, and the rate step at which the system saturates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from hwsim.study import naming
from hwsim.study.cases import Case, rows_of, run_cases, scenario_of, skipped
from hwsim.study.measured import Point, number, whole
from hwsim.study.protocol import Protocol, protocol
from hwsim.study.rows import Row
from hwsim.study.suite import Progress, Suite

NAME = "online"
METRICS = {
    "ttft_mean": "ttft.mean",
    "ttft_p50": "ttft.p50",
    "ttft_p99": "ttft.p99",
    "tpot_mean": "tpot.mean",
    "tpot_p50": "tpot.p50",
    "tpot_p99": "tpot.p99",
    "itl_mean": "itl.mean",
    "e2e_mean": "e2e.mean",
    "e2e_p50": "e2e.p50",
    "e2e_p99": "e2e.p99",
    "output_throughput": "throughput.output",
    "request_throughput": "throughput.request",
}
KEEPS_UP = 0.95  # a rate is kept up with when at least this share of it is served
APART = 1.25  # mean TPOT over the one that E2E and TTFT imply; beyond it the column means something else
AT_ONCE = 1e6  # requests per second that stand for all at once
PREFIX = {"share": 0.64, "tokens": 128, "groups": 10}  # of the KubeCon runs: a system prompt of 128 tokens, 10 groups


class Online(Suite):
    """Every rate of a sweep is a case; a sweep adds one row ``knee``: the last rate that is kept up with."""

    title = "open-loop rate sweeps"
    targets = "the knee in the right rate step"
    misses = (
        "TTFT beyond the knee grows with the length of the run, which is not recorded; the V0 engine's Python "
        "time is from memory, so its knee is right and its latencies below it are not; the plateau of TensorRT- "
        "LLM with Triton is up to twice too high for short prompts, whose front end is not modelled"
    )

    files = ("tensorrt_llm_online.csv", "vllm_experiments.csv")

    def client(self, point: Point) -> Protocol | None:
        """The open loop of a sweep."""
        if point.load_kind != "rate_rps":
            return None
        return protocol("tensorrt-llm-online" if "500 requests" in point.mode else "inference-perf")

    def cases_of(self, point: Point, load: Protocol) -> list[Case]:
        """One case."""
        return [case_of(point, load)]

    def run(self, data: Path | None = None, progress: Progress | None = None, *, full: bool = True) -> list[Row]:
        """Every rate of every sweep, and a row for the knee of each."""
        cases = list(self.cases(data))
        rows = run_cases(cases, progress)
        return rows + list(knees(rows))

    def remarks(self, rows: list[Row]) -> list[str]:
        """In how many sweeps the knee is in the measured step, and in how many next to it."""
        knees = [row for row in rows if row.metric == "knee" and row.error is not None]
        right = sum(row.note == "same step" for row in knees)
        near = sum(row.note in ("same step", "next step") for row in knees)
        text = f"the knee falls in the measured rate step in {right} of {len(knees)} sweeps, "
        return [f"{text}at most one step off in {near}"] if knees else []


def case_of(point: Point, load: Protocol) -> Case:
    """One rate as a scenario."""
    rows = rows_of(NAME, point, [name for name in METRICS if name in point.metrics])
    for row in rows:
        row.rank = f"{row.rank}|{point.mode}"
    isl, osl = whole(point.isl), whole(point.osl)
    if not isl or not osl:
        return skipped(rows, "lengths not given")
    reason = _not_modelled(point)
    if reason:
        return skipped(rows, reason)
    rate = number(point.load) if point.load != "INF" else AT_ONCE
    if not rate:
        return skipped(rows, "rate not given")
    # The client of a sweep that names a duration sends for that long; 500 requests otherwise.
    count = 500 if load.name == "tensorrt-llm-online" else max(100, round(rate * load.seconds))
    try:
        scenario, assumed = scenario_of(point, load, isl=isl, osl=osl, clients=1, requests=count, serve=_serve(point))
    except naming.Unknown as unknown:
        return skipped(rows, f"not built: {unknown}")
    scenario["workload"]["arrivals"] = {"kind": load.arrivals, "rate": f"{rate:g} /s"}
    scenario["serve"]["max_model_len"] = 4096
    if "system prompt" in point.note and scenario["serve"].get("enable_prefix_caching"):
        scenario["workload"]["prefix"] = {**PREFIX, "share": 1.0}
    for row in rows:
        row.note = assumed
    kept = [row for row in rows if not (row.metric.startswith("tpot") and _contradicts(point, osl))]
    refused = [row for row in rows if row not in kept]
    case = Case([*kept, *refused], [METRICS[row.metric] for row in kept], scenario)
    for row in refused:
        row.note = "its TPOT is not (E2E - TTFT) / (output tokens - 1) of the same row: another definition, refused"
    return case


def _contradicts(point: Point, osl: int) -> bool:
    """Whether the mean TPOT of a row is not the one that its own mean E2E and TTFT give."""
    wanted = [point.metrics.get(name) for name in ("e2e_mean", "ttft_mean", "tpot_mean")]
    if None in wanted or osl < 2:
        return False
    whole_time, first, each = (value[0] for value in wanted if value is not None)
    implied = (whole_time - first) / (osl - 1)
    return not 1 / APART < each / implied < APART if implied > 0 else False


def _not_modelled(point: Point) -> str:
    if "EAGLE" in point.mode:
        return "speculation with a draft head is not part of this suite"
    if "bitsandbytes" in point.mode or "bitsandbytes" in point.precision:
        return "bitsandbytes kernels are not modelled"
    return ""


def _serve(point: Point) -> dict[str, object]:
    """Engine settings that the mode of a row names."""
    mode, serve = point.mode.casefold(), {}
    if "max_num_seqs" in mode:
        serve["max_num_seqs"] = whole(mode.partition("max_num_seqs")[2].strip(" ,").split(",")[0])
    if "no chunked prefill" in mode:
        serve["enable_chunked_prefill"] = False
    serve["enable_prefix_caching"] = "prefix cache" in mode and "no prefix cache" not in mode
    return serve


def knees(rows: Iterable[Row]) -> Iterator[Row]:
    """For every sweep the knee, measured and simulated: the last rate that the highest throughput keeps up with.

    Throughput near the knee is blurred by the run's end and by rounding in tables, its plateau is not.
    """
    sweeps: dict[str, list[tuple[float, Row]]] = {}
    for row in rows:
        rate = number(row.case.partition("rate_rps ")[2].split(" ")[0].replace("INF", f"{AT_ONCE:g}"))
        if row.metric == "request_throughput" and rate is not None:
            key = f"{row.model} {row.device} {row.engine} {row.rank}"
            sweeps.setdefault(key, []).append((rate, row))
    for key, members in sweeps.items():
        members.sort(key=lambda item: item[0])
        if len(members) < 3 or any(row.simulated is None for _, row in members):
            continue
        rates = [rate for rate, _ in members]
        measured = _last(rates, max(row.measured for _, row in members))
        simulated = _last(rates, max(row.simulated or 0 for _, row in members))
        apart = abs(measured - simulated)
        note = "same step" if apart == 0 else "next step" if apart == 1 else f"{apart} steps apart"
        first = members[0][1]
        yield Row(
            NAME, key, first.device, first.model, first.engine, "knee", rates[measured], rates[simulated], note=note
        )


def _last(rates: list[float], capacity: float) -> int:
    """The place of the last rate (rising) that a capacity keeps up with, or of the first of all."""
    return max(sum(KEEPS_UP * rate <= capacity for rate in rates) - 1, 0)


PART = Online()
