"""``model:``, a network from the catalogue or a ``config.json``, with the fields that are changed."""

from typing import Any

from hwsim.scenario.schema.quantity import Count, Count0, Flag, Text
from hwsim.scenario.schema.record import Record


class ModelChoice(Record):
    """A model by Hugging Face id or path (``like``), number formats, and changed ``config.json`` fields."""

    like: Text | None = None
    dtype: Text | None = None
    kv_cache_dtype: Text | None = None
    quantization: Text | None = None
    hidden_size: Count | None = None
    num_hidden_layers: Count | None = None
    num_attention_heads: Count | None = None
    num_key_value_heads: Count | None = None
    head_dim: Count | None = None
    intermediate_size: Count | None = None
    vocab_size: Count | None = None
    max_position_embeddings: Count | None = None
    sliding_window: Count | None = None
    tie_word_embeddings: Flag | None = None
    attention_bias: Flag | None = None
    num_experts: Count | None = None
    num_experts_per_tok: Count | None = None
    num_shared_experts: Count0 | None = None
    moe_intermediate_size: Count | None = None

    def overrides(self) -> dict[str, Any]:
        """The fields changed against ``like``, number formats apart."""
        return {key: value for key, value in self.given().items() if key not in {"like", "dtype", "kv_cache_dtype"}}
