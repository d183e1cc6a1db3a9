"""The flags of ``vllm serve`` that say something about speed, under vLLM's own names and short forms (version 0.33).

``MAPPED`` are settings that the scenario language has; ``PLAIN`` change nothing that is simulated; ``UNMODELLED``
would change a result but are not simulated, so they are named beside the scenario (both in ``vllm_flags.yaml``).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import yaml

SHORT = {
    "-tp": "tensor-parallel-size",
    "-pp": "pipeline-parallel-size",
    "-dp": "data-parallel-size",
    "-q": "quantization",
    "-O": "optimization-level",
    "-cc": "compilation-config",
    "-sc": "speculative-config",
    "-ac": "attention-config",
    "-ep": "enable-expert-parallel",
    "-n": "nnodes",
    "-r": "node-rank",
    "-dpn": "data-parallel-rank",
    "-dpr": "data-parallel-start-rank",
    "-dpl": "data-parallel-size-local",
    "-dpa": "data-parallel-address",
    "-dpp": "data-parallel-rpc-port",
    "-dpb": "data-parallel-backend",
    "-dph": "data-parallel-hybrid-lb",
    "-dpe": "data-parallel-external-lb",
    "-dcp": "decode-context-parallel-size",
    "-pcp": "prefill-context-parallel-size",
    "-asc": "api-server-count",
}


class Flag(NamedTuple):
    """Where a flag's value goes in a scenario and how it is read: ``whole``, ``share``, ``flag``, ``word`` …."""

    path: str
    read: str


MAPPED = {
    "tensor-parallel-size": Flag("serve.tensor_parallel_size", "whole"),
    "pipeline-parallel-size": Flag("serve.pipeline_parallel_size", "whole"),
    "data-parallel-size": Flag("serve.data_parallel_size", "whole"),
    "enable-expert-parallel": Flag("serve.enable_expert_parallel", "flag"),
    "max-num-seqs": Flag("serve.max_num_seqs", "whole"),
    "max-num-batched-tokens": Flag("serve.max_num_batched_tokens", "whole"),
    "max-model-len": Flag("serve.max_model_len", "length"),
    "block-size": Flag("serve.block_size", "whole"),
    "gpu-memory-utilization": Flag("serve.gpu_memory_utilization", "share"),
    "num-gpu-blocks-override": Flag("serve.num_gpu_blocks_override", "whole"),
    "kv-cache-memory-bytes": Flag("serve.kv_cache_memory_bytes", "whole"),
    "enable-prefix-caching": Flag("serve.enable_prefix_caching", "flag"),
    "enable-chunked-prefill": Flag("serve.enable_chunked_prefill", "flag"),
    "async-scheduling": Flag("serve.async_scheduling", "flag"),
    "scheduling-policy": Flag("serve.scheduling_policy", "word"),
    "long-prefill-token-threshold": Flag("serve.long_prefill_token_threshold", "whole"),
    "enforce-eager": Flag("serve.cuda_graph", "eager"),
    "cuda-graph-sizes": Flag("serve.cuda_graph", "sizes"),
    "cudagraph-capture-sizes": Flag("serve.cuda_graph", "sizes"),
    "model": Flag("model.like", "word"),
    "dtype": Flag("model.dtype", "dtype"),
    "quantization": Flag("model.dtype", "quantization"),
    "kv-cache-dtype": Flag("model.kv_cache_dtype", "kv"),
    "speculative-config": Flag("serve.speculate", "speculative"),
    "hf-overrides": Flag("model", "overrides"),
}

_LISTS = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
SWITCHES, PLAIN, UNMODELLED = (frozenset(_LISTS[name].split()) for name in ("switches", "plain", "unmodelled"))
KNOWN = sorted({*MAPPED, *PLAIN, *UNMODELLED})
