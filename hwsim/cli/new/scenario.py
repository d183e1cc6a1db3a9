"""A scenario to start from, with comments; or the one that a ``vllm serve`` command describes."""

from __future__ import annotations

from hwsim.cli.new import Wish

FILE = "{name}.yaml"
_TEXT = """\
# hwsim run {file}          simulate it           hwsim check {file}   does it fit, and what is possible at best
# hwsim show models         what can stand below  hwsim schema > hwsim.json   completion in your editor
hwsim: 1                                    # version of the language
name: {name}

model: meta-llama/Llama-3.1-8B              # or {{like: …, dtype: fp8, kv_cache_dtype: fp8}}, or a path to config.json

system:
  node: dgx-h100                            # or {{like: dgx-h100, gpu: {{count: 4}}}}: the same machine, changed
  nodes: 1

serve:                                      # names as in vLLM; what is left out comes from the engine's profile
  engine: vllm-0.33
  tensor_parallel_size: 1
  replicas: 1

workload:                                   # or {{trace: FILE, format: azure, rate_scale: 2}}
  requests: 1000
  arrivals: {{kind: poisson, rate: 10 /s}}    # or {{kind: closed, concurrency: 32}}
  input_tokens: {{kind: lognormal, mean: 1000, p99: 4000, max: 8192}}
  output_tokens: 256

slo: {{ttft: 2 s, tpot: 50 ms, attainment: 90 %}}   # each request should keep both; 90 % of them must
"""


def scenario(wish: Wish) -> str:
    """The text of the file."""
    if wish.from_vllm is not None:
        from hwsim.cli.launch.from_vllm import scenario_text

        return scenario_text(wish)
    return _TEXT.format(file=wish.file, name=wish.name)


PART = scenario
