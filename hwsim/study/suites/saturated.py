"""Throughput with all requests queued: TensorRT-LLM's tables, static batches of Argonne, MLPerf Offline."""

from __future__ import annotations

from hwsim.study import naming
from hwsim.study.cases import Case, rows_of, scenario_of, skipped
from hwsim.study.measured import Point, whole
from hwsim.study.protocol import Protocol, protocol
from hwsim.study.rows import Row
from hwsim.study.suite import Suite

NAME = "saturated"
METRICS = {
    "output_throughput": "throughput.output",
    "output_throughput_per_gpu": "throughput.output_per_gpu",
    "total_token_throughput": "throughput.total",
    "first_token_latency": "ttft.mean",
}
# Requests of a TensorRT-LLM run by (input, output) length, and of all others (README of the collection).
REQUESTS = {
    (128, 128): 6000,  # of 30,000: ten times the batch, after which throughput no longer moves
    (1000, 2000): 1500,
    (128, 4096): 1500,
    (2048, 2048): 1500,
    (5000, 500): 1500,
    (20000, 2000): 1000,
    (8192, 1024): 1500,
    (1024, 8192): 1500,
    (32768, 1024): 1000,
    (1024, 32768): 1000,
}
USUAL_REQUESTS = 3000
# Mean lengths of the MLPerf tasks: outputs from the README, inputs below the limit it gives are assumed.
MLPERF = {
    "llama-2-70b": (294, 294),
    "llama-3-1-8b": (778, 128),
    "mixtral-8x7b": (600, 145),
    "llama-3-1-405b": (9500, 685),
}
MLPERF_QUEUE = 3000  # requests of one replica: replicas share nothing but the queue
NODE = 8
UNDATED = {"vLLM": "vLLM 0.4"}  # engines of the Argonne study (2024) without a version


class Saturated(Suite):
    """Offline throughput; TTFT of one static batch where it was measured."""

    title = "saturated throughput, all requests queued or one static batch"
    targets = "throughput 12 % median"
    misses = (
        "tables of TensorRT-LLM are met within about 12 %; mixtures of experts on Hopper borrow the kernels of other "
        "designs, and small ones over eight cards without NVLink are several times too slow. Static batches are up to "
        "twice too fast with early vLLM, whose version is not given and whose Python binds, and many times on AMD and "
        "Intel GPUs, which borrow the efficiencies of kernels that they do not have. Batches that fill the KV cache "
        "depend on its format, which is assumed"
    )

    files = ("tensorrt_llm.csv", "argonne_llm_inference_bench.csv", "mlperf.csv")
    every = 6

    def client(self, point: Point) -> Protocol:
        """Everything queued, or one batch."""
        return protocol("queued" if point.load_kind in ("saturated", "scenario") else "static-batch")

    def cases_of(self, point: Point, load: Protocol) -> list[Case]:
        """One case."""
        return [case_of(point, load)]


def case_of(point: Point, load: Protocol) -> Case:
    """A point as a scenario, or the reason why it is none."""
    rows = rows_of(NAME, point, [name for name in METRICS if name in point.metrics])
    if not rows:
        return Case([], [])
    if point.load_kind == "scenario":
        return _mlperf(point, load, rows)
    isl, osl = whole(point.isl), whole(point.osl)
    if not isl or not osl:
        return skipped(rows, "lengths not given")
    queued = point.load_kind == "saturated"
    count = whole(point.load) if not queued else REQUESTS.get((isl, osl), USUAL_REQUESTS)
    if not count:
        return skipped(rows, "load not given")
    engine = UNDATED.get(point.engine, point.engine)
    try:
        scenario, assumed = scenario_of(point, load, isl=isl, osl=osl, clients=count, engine=engine)
    except naming.Unknown as unknown:
        return skipped(rows, f"not built: {unknown}")
    for row in rows:
        row.note = assumed
    return Case(rows, [METRICS[row.metric] for row in rows], scenario)


def _mlperf(point: Point, load: Protocol, rows: list[Row]) -> Case:
    """An Offline run: as many replicas as fit, each on the fewest GPUs that hold the model; both are assumed.

    One of them is simulated: with everything queued they do not meet.
    """
    rows = [row for row in rows if row.metric == "output_throughput"]
    if point.load != "Offline" or not rows or point.metrics["output_throughput"][1] != "tokens/s":
        return Case([], [])
    lengths = MLPERF.get(naming.plain(point.model))
    if lengths is None:
        return skipped(rows, "lengths of the task not given")
    fewest = {"llama-3-1-405b": 8, "llama-2-70b": 1, "mixtral-8x7b": 1, "llama-3-1-8b": 1}[naming.plain(point.model)]
    point.tp = min(fewest, max(point.gpus, 1))
    point.precision = point.precision if point.precision != "see submission" else _mlperf_precision(point.gpu)
    replicas = max(point.gpus // point.tp, 1)
    try:
        scenario, assumed = scenario_of(point, load, isl=lengths[0], osl=lengths[1], clients=MLPERF_QUEUE)
        scenario["system"] = {"node": naming.node(naming.gpu(point.gpu), min(point.gpus, NODE))}
    except naming.Unknown as unknown:
        return skipped(rows, f"not built: {unknown}")
    for row in rows:
        row.metric, row.note = "mlperf_output_throughput", f"layout, precision and input lengths assumed; {assumed}"
    return Case(rows, [f"{replicas} * throughput.output"] * len(rows), scenario)


def _mlperf_precision(gpu: str) -> str:
    return "fp4" if gpu.startswith(("B2", "B3", "GB", "RTXPRO", "MI35")) else "fp8"


PART = Saturated()
