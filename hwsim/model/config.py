"""A Hugging Face ``config.json`` (mapping or file) read into a :class:`Model`; dense decoder families."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwsim.errors import Problem, ScenarioError, nearest
from hwsim.model.model import Model
from hwsim.model.numerics import number_format
from hwsim.part import Parts

FAMILIES = Parts("hwsim.model.families")
MAX_CONFIG_BYTES = 1 << 20
_SIZES = (
    "num_hidden_layers",
    "hidden_size",
    "num_attention_heads",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
)


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


def from_config(
    config: Mapping[str, Any], *, hf_id: str = "", source: str = "config.json", where: str = "model"
) -> Model:
    """The model that a ``config.json`` describes.  Unknown families and bad sizes raise ``ScenarioError``."""
    family = config.get("model_type", "")
    known = FAMILIES.names()
    if family not in known:
        raise ScenarioError.of(
            "unknown model family",
            where=f"{where}.model_type",
            got=str(family) or "nothing",
            expected="one of " + ", ".join(known),
            nearest=nearest(str(family), known),
        )
    problems: list[Problem] = []
    sizes = {name: _size(config, name, where, problems) for name in _SIZES}
    heads = sizes["num_attention_heads"]
    sizes["num_key_value_heads"] = _size(config, "num_key_value_heads", where, problems, default=heads)
    sizes["head_dim"] = _size(config, "head_dim", where, problems, default=sizes["hidden_size"] // heads)
    if not problems and heads % sizes["num_key_value_heads"]:
        problems.append(
            Problem(
                "query heads do not divide into groups",
                f"{where}.num_key_value_heads",
                str(sizes["num_key_value_heads"]),
                f"a divisor of num_attention_heads {heads}",
            )
        )
    if problems:
        raise ScenarioError(problems)
    dtype = str(config.get("torch_dtype") or config.get("dtype") or "bf16")
    quantization = config.get("quantization_config")
    if isinstance(quantization, Mapping):
        dtype = str(quantization.get("quant_method", dtype))
    return Model(
        hf_id=hf_id or str(config.get("_name_or_path", "")) or "config.json",
        family=family,
        dtype=number_format(dtype, where=f"{where}.dtype").name,
        tie_word_embeddings=bool(config.get("tie_word_embeddings", False)),
        source=source,
        **sizes,
        **FAMILIES.get(family)(config),
    )


def _size(config: Mapping[str, Any], name: str, where: str, problems: list[Problem], default: int | None = None) -> int:
    """A whole number above zero; what is wrong is noted and 1 stands in so that the rest can be checked."""
    value = config.get(name)
    if value is None and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1 << 40:
        got = "nothing" if value is None else repr(value)[:40]
        problems.append(Problem(f"bad {name}", f"{where}.{name}", got, "a whole number above zero"))
        return 1
    return value
