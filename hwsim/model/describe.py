"""What a model is, as names and values for people: sizes, layers, parameters, and what a sequence keeps."""

from __future__ import annotations

from dataclasses import fields

from hwsim.model.block import Block, Run
from hwsim.model.model import Model


def describe(model: Model) -> dict[str, object]:
    """Facts of a model in the order people ask for them; what is absent is left out."""
    facts: dict[str, object] = {
        "hf_id": model.hf_id,
        "family": model.family,
        "num_hidden_layers": model.num_hidden_layers,
        "hidden_size": model.hidden_size,
        "num_attention_heads": model.num_attention_heads,
        "num_key_value_heads": model.num_key_value_heads,
        "head_dim": model.head_dim,
        "intermediate_size": model.intermediate_size,
        "vocab_size": model.vocab_size,
        "tie_word_embeddings": model.tie_word_embeddings,
        "max_position_embeddings": model.max_position_embeddings,
        "windows": ", ".join(map(str, model.windows)) or None,
        "dtype": model.dtype,
        "kv_cache_dtype": model.kv_cache_dtype,
        "parameters": model.parameters,
        "active_parameters": model.active_parameters,
        "mtp_parameters": model.mtp_parameters,
        "kv_bytes_per_token": model.kv_bytes_per_token,
        "window_kv_bytes_per_token": model.window_kv_bytes_per_token,
        "index_kv_bytes_per_token": model.index_kv_bytes_per_token,
        "cross_kv_bytes_per_token": model.cross_kv_bytes_per_token,
        "state_bytes": model.state_bytes,
        "flop_per_token_linear": model.flop_per_token_linear,
    }
    optional = {"mtp_parameters", "state_bytes", *(name for name in facts if name.endswith("_kv_bytes_per_token"))}
    kept = {name: value for name, value in facts.items() if value is not None and (value or name not in optional)}
    for title, runs in (("layers", model.kinds), ("encoder", model.encoder)):
        for index, run in enumerate(runs):
            kept[title if len(runs) == 1 else f"{title}[{index}]"] = _layer(run)
    return {**kept, "source": model.source}


def _layer(run: Run) -> str:
    """``32 x attention(heads=32, …) + dense(…)``: fields that differ from their default."""
    block: Block = run.block
    parts = [part for part in (block.mixer, block.cross, block.feed_forward) if part is not None]
    return f"{run.layers} x " + " + ".join(_part(part) for part in parts)


def _part(part: object) -> str:
    shown = []
    for each in fields(part):  # type: ignore[arg-type]
        value = getattr(part, each.name)
        if value != each.default:
            shown.append(f"{each.name}={value}")
    return f"{type(part).__name__.lower()}({', '.join(shown)})"
