"""``hwsim new``: a commented file to start from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from hwsim.cli.options import one_of
from hwsim.errors import ScenarioError

_SCENARIO = """\
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


def new(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="scenario")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name; the file is NAME.yaml.")],
) -> None:
    """Write a commented file to start from: hwsim new scenario NAME."""
    one_of("hwsim new", what, ("scenario",))
    title = name.removesuffix(".yaml")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]*", title):
        raise ScenarioError.of("is not a name", where="hwsim new", got=repr(name), expected="letters, digits, - and _")
    path = Path(f"{title}.yaml")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(_SCENARIO.format(file=path, name=path.stem))
    except FileExistsError:
        raise ScenarioError.of("there is such a file already", where=str(path), expected="another name") from None
    except OSError as error:
        raise ScenarioError.of(f"cannot be written: {error.strerror}", where=str(path)) from None
    print(path)


PART = new
