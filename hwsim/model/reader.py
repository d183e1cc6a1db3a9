"""Reads the fields of a ``config.json`` by their standard name, whatever a family calls them, and notes what is wrong.

All problems of a config are collected, so that a user sees every missing field at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hwsim.errors import Problem
from hwsim.model.block import Block, runs
from hwsim.model.parts.attention import Attention
from hwsim.model.parts.dense import Dense
from hwsim.model.parts.moe import Moe

# Other names of the standard fields, in families that have their own.
_NAMES = {
    "hidden_size": ("n_embd", "d_model", "n_embed", "model_dim"),
    "num_hidden_layers": ("n_layer", "n_layers", "num_layers"),
    "num_attention_heads": ("n_head", "n_heads", "num_heads"),
    "num_key_value_heads": ("num_kv_heads", "kv_n_heads", "n_head_kv"),
    "head_dim": ("attention_head_dim", "d_kv"),
    "intermediate_size": ("ffn_dim", "n_inner", "d_ff", "ffn_hidden_size"),
    "max_position_embeddings": ("n_positions", "n_ctx", "max_seq_len", "seq_length", "max_sequence_length"),
    "vocab_size": ("padded_vocab_size",),
    "num_experts": ("num_local_experts", "n_routed_experts", "moe_num_experts"),
    "num_experts_per_tok": ("moe_top_k", "top_k_experts", "experts_per_token", "moe_k", "num_experts_per_token"),
    "num_shared_experts": ("n_shared_experts", "moe_num_shared_experts"),
}
MOST_LAYERS = 4096


class Reader:
    """A config with the fields that a user changed; ``problems`` collects what is missing or wrong."""

    def __init__(self, config: Mapping[str, Any], changed: Mapping[str, Any] | None = None, where: str = "model"):
        self.config, self.changed, self.where = config, changed or {}, where
        self.problems: list[Problem] = []
        self._own: dict[str, str] = {}

    def names(self, **own: str) -> None:
        """What this family calls standard fields: looked up first and used in messages."""
        self._own.update(own)

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a field: as changed by the user, under the family's name, the standard one, or another's."""
        if name in self.changed:
            return self.changed[name]
        for key in (self._own.get(name, name), name, *_NAMES.get(name, ())):
            value = self.config.get(key)
            if value is not None:
                return value
        return default

    def count(self, name: str, default: int | None = None, *, least: int = 1) -> int:
        """A whole number; what is wrong is noted and the least stands in so that the rest can be checked."""
        value = self.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 1 << 40:
            key = self._own.get(name, name)
            what = f"{key} is missing" if value is None else f"bad {key}"
            got = "" if value is None else repr(value)[:40]
            above = "above zero" if least else "from zero"
            self.problems.append(Problem(what, f"{self.where}.{key}", got, f"a whole number {above}"))
            return max(least, 1)
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """A truth value."""
        return bool(self.get(name, default))

    def indices(self, name: str) -> set[int]:
        """Layer numbers listed under a name; none when it is absent."""
        value = self.get(name) or []
        if isinstance(value, list) and all(isinstance(each, int) for each in value):
            return set(value)
        self.problems.append(Problem(f"bad {name}", f"{self.where}.{name}", repr(value)[:40], "a list of layers"))
        return set()

    def section(self, name: str) -> Mapping[str, Any]:
        """A mapping inside the config; empty when it is absent."""
        value = self.get(name) or {}
        if isinstance(value, Mapping):
            return value
        self.problems.append(Problem(f"bad {name}", f"{self.where}.{name}", repr(value)[:40], "a mapping"))
        return {}

    # -- sizes and parts that most families share ---------------------------------------------------------------

    @property
    def hidden(self) -> int:
        """The width of the residual stream."""
        return self.count("hidden_size")

    @property
    def layers(self) -> int:
        """Number of layers."""
        found = self.count("num_hidden_layers")
        if found > MOST_LAYERS:
            key = self._own.get("num_hidden_layers", "num_hidden_layers")
            self.problems.append(Problem(f"bad {key}", f"{self.where}.{key}", str(found), f"at most {MOST_LAYERS}"))
            return 1
        return found

    def attention(self, **more: Any) -> Attention:
        """Attention with heads, KV heads (default: as many) and head width (default: hidden over heads)."""
        heads = self.count("num_attention_heads")
        kv = more.pop("kv_heads", None) or self.count("num_key_value_heads", heads)
        given = self.get("head_dim") if not {"num_attention_heads", "hidden_size"} & self.changed.keys() else None
        width = self.changed.get("head_dim", given)
        width = self.count("head_dim", self.hidden // heads or 1) if width is not None else (self.hidden // heads or 1)
        width = more.pop("head_dim", width)
        if heads % kv:
            self.problems.append(
                Problem(
                    "query heads do not divide into groups",
                    f"{self.where}.num_key_value_heads",
                    str(kv),
                    f"a divisor of num_attention_heads {heads}",
                )
            )
        return Attention(heads, kv, width, **more)

    def dense(self, default: int | None = None, **more: Any) -> Dense:
        """A dense feed-forward network of ``intermediate_size``."""
        return Dense(self.count("intermediate_size", default), **more)

    def moe(self, width: str = "moe_intermediate_size", **more: Any) -> Moe:
        """Routed experts whose width stands under the name ``width``; a changed moe_intermediate_size wins."""
        name = "moe_intermediate_size" if "moe_intermediate_size" in self.changed else width
        experts, top = self.count("num_experts"), self.count("num_experts_per_tok")
        if top > experts:
            where = f"{self.where}.num_experts_per_tok"
            self.problems.append(Problem("more experts per token than experts", where, str(top), f"at most {experts}"))
            top = experts
        return Moe(experts, top, self.count(name), **more)

    def layer_types(self, full_every: int = 1, *, last: bool = True, other: str = "sliding_attention") -> list[str]:
        """The kind of each layer: ``layer_types`` if the config lists it, else one full layer in ``full_every``.

        ``last``: the full layer ends a group, else it starts one.
        """
        layers, given = self.layers, self.get("layer_types")
        if isinstance(given, list) and len(given) >= layers:
            return [str(kind) for kind in given[:layers]]
        place = full_every - 1 if last else 0
        return ["full_attention" if i % full_every == place else other for i in range(layers)]

    def window(self, name: str = "sliding_window") -> int | None:
        """A window that can ever bind: None when absent or not below the model's own context."""
        value = self.get(name)
        if value is None or isinstance(value, bool):
            return None
        found = self.count(name)
        return found if found < self.count("max_position_embeddings", 1 << 39) else None

    def body(self, blocks: Iterable[Block], *, tie: bool = False, positions: int | None = None, **more: Any) -> Any:
        """Fields of a :class:`Model` from its layers; ``tie`` and ``positions`` are the family's defaults."""
        return {
            "runs": runs(blocks),
            "hidden_size": self.hidden,
            "vocab_size": self.count("vocab_size"),
            "max_position_embeddings": self.count("max_position_embeddings", positions),
            "tie_word_embeddings": self.flag("tie_word_embeddings", tie),
            **more,
        }

    def plain(self, attention: Attention, feed_forward: Dense | Moe, *, tie: bool = False, **more: Any) -> Any:
        """A body whose layers are all equal, two norms each; block fields by name among ``more``."""
        fields = {name: more.pop(name) for name in ("norms", "norm_bias", "parallel") if name in more}
        block = Block(attention, feed_forward, **fields)
        return self.body([block] * self.layers, tie=tie, **more)
