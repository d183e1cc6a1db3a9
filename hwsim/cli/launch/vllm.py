"""``vllm serve`` commands that start what a scenario simulates, one per pool."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from hwsim.cli.launch.pools import Pool, pools

if TYPE_CHECKING:
    from hwsim.scenario.load import Scenario

_DTYPES = {"fp16": "float16", "bf16": "bfloat16", "fp32": "float32"}
_QUANTIZATIONS = {
    "fp8": "fp8",
    "awq": "awq",
    "gptq": "gptq",
    "nf4": "bitsandbytes",
    "mxfp4": "mxfp4",
    "nvfp4": "modelopt_fp4",
}
_WHOLE = (
    "tensor_parallel_size",
    "pipeline_parallel_size",
    "data_parallel_size",
    "max_num_seqs",
    "max_num_batched_tokens",
    "max_model_len",
    "block_size",
    "gpu_memory_utilization",
    "num_gpu_blocks_override",
    "kv_cache_memory_bytes",
    "scheduling_policy",
    "long_prefill_token_threshold",
)
_SWITCHES = ("enable_prefix_caching", "enable_chunked_prefill", "async_scheduling", "enable_expert_parallel")


def commands(scenario: Scenario) -> str:
    """A command for each pool, with a comment where there is more than one copy or something vLLM has no flag for."""
    return "\n\n".join("\n".join([*_notes(pool), _command(pool)]) for pool in pools(scenario, "--to vllm"))


def _notes(pool: Pool) -> list[str]:
    notes = [f"# {pool.title}"] if pool.title else []
    notes += [f"# not a flag of vLLM: {name}" for name in pool.left(("speculate", "cuda_graph", *_WHOLE, *_SWITCHES))]
    return notes


def _command(pool: Pool) -> str:
    words = ["vllm serve", shlex.quote(pool.model)]
    dtype, kv = pool.dtype, pool.kv_cache_dtype
    if dtype in _DTYPES:
        words.append(f"--dtype {_DTYPES[dtype]}")
    elif dtype:
        words.append(f"--quantization {_QUANTIZATIONS.get(dtype, dtype)}")
    if kv and kv.startswith("fp8"):
        words.append("--kv-cache-dtype fp8")
    settings = pool.settings
    for name in _WHOLE:
        if name in settings and not (name.endswith("parallel_size") and settings[name] == 1):
            words.append(f"--{name.replace('_', '-')} {settings[name]}")
    for name in _SWITCHES:
        if name in settings:
            words.append(f"--{'' if settings[name] else 'no-'}{name.replace('_', '-')}")
    words += _graphs(settings.get("cuda_graph")) + _speculation(settings.get("speculate"))
    if pool.role in ("prefill", "decode"):
        role = {"prefill": "kv_producer", "decode": "kv_consumer"}[pool.role]
        words.append(f"""--kv-transfer-config '{{"kv_connector": "NixlConnector", "kv_role": "{role}"}}'""")
    return " \\\n  ".join(words)


def _graphs(value: Any) -> list[str]:
    if value is False:
        return ["--enforce-eager"]
    return ["--cudagraph-capture-sizes " + " ".join(map(str, value))] if isinstance(value, list) else []


def _speculation(value: Any) -> list[str]:
    if not value:
        return []
    model = value.get("model")
    found = {
        "method": None if value["kind"] == "draft" else value["kind"],
        "model": model.get("like") if isinstance(model, dict) else model,
        "num_speculative_tokens": value.get("num_speculative_tokens"),
    }
    import json

    return ["--speculative-config " + shlex.quote(json.dumps({k: v for k, v in found.items() if v is not None}))]


PART = commands
