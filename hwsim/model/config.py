"""A Hugging Face ``config.json`` (mapping or file) read into a :class:`Model`, by the family it names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwsim.errors import ScenarioError, nearest
from hwsim.model.model import Model
from hwsim.model.numerics import number_format
from hwsim.model.precision import Precision, of_checkpoint, precision
from hwsim.model.reader import Reader
from hwsim.part import Parts

FAMILIES = Parts("hwsim.model.families")
MAX_CONFIG_BYTES = 1 << 20
# Model types whose layers are those of another family's file.
SAME = {
    "gpt": "gpt2",
    "gpt3": "gpt2",
    "megatron": "gpt2",
    "yi": "llama",
    "aquila": "llama",
    "smollm3": "llama",
    "mistral3": "mistral",
    "ministral": "mistral",
    "gemma3": "gemma3_text",
    "llama4": "llama4_text",
    "kimi_k2": "deepseek_v3",
    "kimi_k25": "deepseek_v3",
    "deepseek_v32": "deepseek_v3",
    "glm_moe_dsa": "deepseek_v3",
    "mt5": "t5",
    "umt5": "t5",
    "qwen3_5": "qwen3_5_text",
    "qwen3_5_moe": "qwen3_5_text",
    "qwen3_5_moe_text": "qwen3_5_text",
    "turbosparsemixtral": "mixtral",
    "bamboo": "llama",
    "roberta": "bert",
    "refinedweb": "falcon",
    "refinedwebmodel": "falcon",
    "minimax_text_01": "minimax",
    "minimax_m1": "minimax",
    "falcon_mamba": "mamba",
    "qwen2_vl": "qwen2",
    "qwen2_vl_text": "qwen2",
    "qwen2_5_vl": "qwen2",
    "qwen2_5_vl_text": "qwen2",
    "qwen3_vl_text": "qwen3",
    "qwen3_vl_moe_text": "qwen3_moe",
    "phi4mm": "phi3",
    "granitemoeshared": "granitemoe",
}
_WRAPPED = ("text_config", "llm_config", "language_config")  # multimodal wrappers keep the language model here


def read_config(path: str | Path) -> dict[str, Any]:
    """The mapping in a ``config.json`` (or in the folder that holds one); bad files raise ``ScenarioError``."""
    file = Path(path)
    if file.is_dir():
        file = file / "config.json"
    try:
        if file.stat().st_size > MAX_CONFIG_BYTES:
            raise ScenarioError.of("too large for a config.json", where=str(file), expected="at most 1 MiB")
        config = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScenarioError.of(f"cannot read the model: {error.strerror}", where=str(file)) from error
    except (ValueError, RecursionError) as error:
        raise ScenarioError.of(f"not JSON: {error}", where=str(file)) from error
    if not isinstance(config, dict):
        raise ScenarioError.of("not a model", where=str(file), got=type(config).__name__, expected="a mapping")
    return config


def family_of(model_type: str) -> str | None:
    """The file that reads this model type; None if there is none."""
    name = model_type.casefold().replace("-", "_")
    name = SAME.get(name, name)
    return name if name in FAMILIES.names() else None


def from_config(
    config: Mapping[str, Any],
    *,
    changed: Mapping[str, Any] | None = None,
    dtype: str | None = None,
    hf_id: str = "",
    source: str = "config.json",
    where: str = "model",
) -> Model:
    """The model that a ``config.json`` describes, with fields ``changed`` and stored as ``dtype`` instead of its own.

    Unknown families, missing fields and bad sizes raise ``ScenarioError``.
    """
    config = _unwrapped(config)
    model_type = str(config.get("model_type") or "")
    family = family_of(model_type)
    if family is None:
        known = sorted({*FAMILIES.names(), *SAME})
        raise ScenarioError.of(
            "unknown model family",
            where=f"{where}.model_type",
            got=model_type or "nothing",
            expected="one of " + ", ".join(FAMILIES.names()),
            nearest=nearest(model_type, known),
        )
    reader = Reader(config, changed, where)
    fields = FAMILIES.get(family)(reader)
    if reader.problems:
        raise ScenarioError(list(dict.fromkeys(reader.problems)))
    name = hf_id or str(config.get("_name_or_path", "")) or "config.json"
    stored = _precision(config, dtype, fields, where)
    return Model(hf_id=name, family=model_type, precision=stored, source=source, **fields)


def _unwrapped(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The language model inside a multimodal config, with the number formats of the whole."""
    for key in _WRAPPED:
        inner = config.get(key)
        if isinstance(inner, Mapping) and inner.get("model_type", config.get("model_type")):
            names = ("torch_dtype", "dtype", "quantization_config", "tie_word_embeddings", "model_type")
            outer = {name: config[name] for name in names if config.get(name) is not None}
            return {**outer, **{name: value for name, value in inner.items() if value is not None}}
    return config


def _precision(config: Mapping[str, Any], dtype: str | None, fields: Mapping[str, Any], where: str) -> Precision:
    plain = str(config.get("torch_dtype") or config.get("dtype") or "bf16")
    plain = number_format(plain, where=f"{where}.dtype").name
    if plain == "fp32":  # engines cast 32-bit checkpoints when they load them, unless told otherwise
        plain = "bf16"
    experts = any(hasattr(block.feed_forward, "top_k") for _, block in fields["runs"])
    if dtype is not None:
        return precision(dtype, experts=experts, where=f"{where}.dtype")
    layers = sum(count for count, _ in fields["runs"])
    return of_checkpoint(config, plain, layers=layers, where=where) or precision(plain, where=f"{where}.dtype")
