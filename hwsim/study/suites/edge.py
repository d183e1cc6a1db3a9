"""One sequence on consumer GPUs, Apple chips, boards and CPUs: prefill and decode speed of llama.cpp and relatives.

A GPU or chip runs llama.cpp's engine profile (prompts in batches of 512, layers over several cards one after another);
a processor runs the layers from its own DRAM as a task graph.
"""

from __future__ import annotations

import zlib
from typing import Any

from hwsim.study import naming
from hwsim.study.cases import SLACK, Case, rows_of, skipped
from hwsim.study.host import Host, host
from hwsim.study.measured import Point, whole
from hwsim.study.protocol import Protocol, protocol
from hwsim.study.rows import Row
from hwsim.study.suite import Suite

NAME = "edge"
METRICS = ("prefill_speed", "decode_speed")
SAMPLED = 33  # tokens decoded for the mean gap between them
ENGINE = "llama.cpp-1"
FEWEST = 8  # threads that keep a desktop's two memory channels busy (own knowledge)
BOARDS = ("Pi ", "Optiplex")  # hosts that slow a card down in ways that are not modelled
USUAL = ("mxfp4_moe", "q4_k_m")  # what Ollama loads of gpt-oss and of other models when no format is named


class Edge(Suite):
    """llama.cpp with one sequence: nothing queues, so what is compared are steps and the host time between them."""

    title = "single sequence on consumer devices: GPUs, Apple chips, boards and CPUs"
    misses = (
        "the laws were fitted on every other group and are scored on the rest. Small models on the fastest cards "
        "are up to half too fast: llama.cpp of 2024 paid more between kernels than the one law of all versions "
        "says. Of AMD one coefficient is fitted, on the newest card: RDNA3 desktops are half too fast, and cards "
        "in Arm boards two to nine times, whose driver and memory path nobody describes. Prefill of packed 70B "
        "over several cards is near twice too fast, as if their layers followed each other there, while 16-bit "
        "70B and everything of 8B overlap as simulated; on cards with a low power limit clocks under load are "
        "missing"
    )

    files = ("llama_cpp.csv",)

    def client(self, point: Point) -> Protocol:
        """llama-bench, or Ollama timed alike."""
        return protocol("llama-bench")

    def cases_of(self, point: Point, load: Protocol) -> list[Case]:
        """One case."""
        return [case_of(point, load)]


def case_of(point: Point, load: Protocol) -> Case:
    """A point as one request to one machine, or the reason why it is none."""
    rows = rows_of(NAME, point, [name for name in METRICS if name in point.metrics])
    others = rows_of(NAME, point, [name for name in point.metrics if name not in METRICS])
    skipped(others, "a figure of the whole machine from its wall socket is not simulated")
    if not rows:
        return Case(others, [])
    reason = _not_modelled(point)
    if reason:
        return skipped(rows + others, reason)
    try:
        machine = host(point.gpu, max(point.gpus, 1), card="gpu" in point.mode.casefold())
        hf_id = naming.model(point.model)
        dtype = naming.dtype(point.precision, hf_id) or USUAL["gpt-oss" not in hf_id]
    except naming.Unknown as unknown:
        return skipped(rows + others, f"not built: {unknown}")
    prompt, context = _lengths(point, load)
    texts = ["number format assumed"] if not point.precision else []
    texts += ["the GPU's host is not modelled"] if "(" in point.gpu and not machine.cpu else []
    for row in rows:
        row.note, row.device = "; ".join(texts), machine.device
        row.split = "fit" if (_law_of_processors(row) if machine.cpu else fitted_on(row.group)) else "score"
    length = {"prefill_speed": prompt, "decode_speed": context}
    formulas = {
        "prefill_speed": f"{prompt} * 1000 / ttft.{load.statistic}",
        "decode_speed": f"1000 / tpot.{load.statistic}",
    }
    scenario = _scenario(machine, hf_id, dtype, length[rows[0].metric], max(point.gpus, 1))
    return Case(rows + others, [formulas[row.metric] for row in rows], scenario)


def fitted_on(group: str) -> bool:
    """Whether the laws of llama.cpp's kernels were fitted on a group: every other one by hash, none of a board's."""
    return zlib.crc32(group.encode()) % 2 == 0 and not any(board in group for board in BOARDS)


def _law_of_processors(row: Row) -> bool:
    """Whether a row of a processor was used for ``processor.yaml``: prefill, and decode of every other group."""
    return row.metric == "prefill_speed" or zlib.crc32(row.group.encode()) % 2 == 0


def _not_modelled(point: Point) -> str:
    """What the suite's mechanisms lack."""
    mode = point.mode.casefold()
    if "gpu/cpu" in mode:
        return "layers split between GPU and CPU in a share that the row does not give"
    if "cluster" in point.gpu.casefold():
        return "layers split over machines by a network"
    if "threads" in mode and whole(mode.partition("threads")[0]) < FEWEST:
        return "fewer threads than the memory needs to be busy: the share of a core is not known"
    return ""


def _lengths(point: Point, load: Protocol) -> tuple[int, int]:
    """Tokens of a prompt whose prefill is timed, and mean context while an answer is decoded."""
    prompt, answer = whole(point.isl), whole(point.osl)
    return prompt or load.prompt, prompt or (answer or load.answer) // 2


def _scenario(machine: Host, hf_id: str, dtype: str, prompt: int, cards: int) -> dict[str, Any]:
    """One request of ``prompt`` tokens and a few answers."""
    serve: dict[str, Any] = {
        "engine": ENGINE,
        "max_model_len": prompt + SAMPLED + SLACK,
        "enable_prefix_caching": False,
    }
    if cards > 1:
        serve["pipeline_parallel_size"] = cards
    if machine.cpu:
        home = {"weights": "dram", "kv": "dram", "activations": "dram"}
        serve = {"batching": "static", "execute": {"kind": "layer_streaming", "backend": "cpu0"}, "place": home}
    return {
        "hwsim": 1,
        "name": "case",
        "model": {"like": hf_id, "dtype": dtype},
        "system": {"node": machine.node},
        "serve": serve,
        "workload": {
            "requests": 1,
            "arrivals": {"kind": "closed", "concurrency": 1},
            "input_tokens": prompt,
            "output_tokens": SAMPLED,
        },
    }


PART = Edge()
