"""SGLang launch commands that start what a scenario simulates, one per pool."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from hwsim.cli.launch.pools import Pool, pools

if TYPE_CHECKING:
    from hwsim.scenario.load import Scenario

_FLAGS = {
    "tensor_parallel_size": "tp-size",
    "pipeline_parallel_size": "pp-size",
    "data_parallel_size": "dp-size",
    "max_num_seqs": "max-running-requests",
    "max_num_batched_tokens": "chunked-prefill-size",
    "max_model_len": "context-length",
    "block_size": "page-size",
    "gpu_memory_utilization": "mem-fraction-static",
}
_OFF = {
    "enable_prefix_caching": "disable-radix-cache",
    "async_scheduling": "disable-overlap-schedule",
    "cuda_graph": "disable-cuda-graph",
}


def commands(scenario: Scenario) -> str:
    """A command for each pool; what SGLang has no like of stands in a comment."""
    return "\n\n".join("\n".join([*_notes(pool), _command(pool)]) for pool in pools(scenario, "--to sglang"))


def _notes(pool: Pool) -> list[str]:
    notes = [f"# {pool.title}"] if pool.title else []
    known = (*_FLAGS, *_OFF, "enable_chunked_prefill", "enable_expert_parallel")
    return notes + [f"# no flag of SGLang does the same: {name}" for name in pool.left(known)]


def _command(pool: Pool) -> str:
    words = ["python -m sglang.launch_server", f"--model-path {shlex.quote(pool.model)}"]
    dtype = pool.dtype
    if dtype in ("fp16", "bf16", "fp32"):
        words.append(f"--dtype {({'fp16': 'half', 'bf16': 'bfloat16', 'fp32': 'float32'})[dtype]}")
    elif dtype:
        words.append(f"--quantization {dtype}")
    if pool.kv_cache_dtype and pool.kv_cache_dtype.startswith("fp8"):
        words.append("--kv-cache-dtype fp8_e4m3")
    settings = pool.settings
    for name, flag in _FLAGS.items():
        value = settings.get(name)
        if value is not None and value != "auto" and not (name.endswith("parallel_size") and value == 1):
            words.append(f"--{flag} {value}")
    words += [f"--{flag}" for name, flag in _OFF.items() if settings.get(name) is False]
    if settings.get("enable_chunked_prefill") is False:
        words.append("--chunked-prefill-size -1")
    if settings.get("enable_expert_parallel"):
        words.append(f"--ep-size {settings.get('tensor_parallel_size', 1)}")
    if pool.role in ("prefill", "decode"):
        words.append(f"--disaggregation-mode {pool.role}")
    return " \\\n  ".join(words)


PART = commands
