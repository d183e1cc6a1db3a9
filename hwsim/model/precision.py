"""Which number format each part of a network is stored in: one format, a known mix, or what a checkpoint says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hwsim.errors import ScenarioError, nearest
from hwsim.model.numerics import Format, known_format, number_format

LINEAR = ("attention", "ffn", "shared", "experts")  # parts that quantisation shrinks
# GGUF mixes of llama.cpp's quantize: base, then products and parts that get another format.  Two names: half the
# layers each ("more bits" go to the first and last eighth and every third between).  The value projection, which also
# gets more bits, is fused with query and key here and counted at the base (at most 0.6 % of the weights too small).
MIXES: dict[str, tuple[str, dict[str, tuple[str, ...]]]] = {
    "q2_k_m": ("q2_k", {"down": ("q3_k",), "o": ("q3_k",), "head": ("q6_k",), "embeddings": ("q2_k",)}),
    "q3_k_m": ("q3_k", {"down": ("q3_k", "q4_k"), "o": ("q4_k",), "head": ("q6_k",), "embeddings": ("q3_k",)}),
    "q4_k_s": ("q4_k", {"head": ("q6_k",), "embeddings": ("q4_k",)}),
    "q4_k_m": ("q4_k", {"down": ("q4_k", "q6_k"), "head": ("q6_k",), "embeddings": ("q4_k",)}),
    "q5_k_s": ("q5_k", {"head": ("q6_k",), "embeddings": ("q5_k",)}),
    "q5_k_m": ("q5_k", {"down": ("q5_k", "q6_k"), "head": ("q6_k",), "embeddings": ("q5_k",)}),
    "q4_0": ("q4_0", {"head": ("q6_k",), "embeddings": ("q4_0",)}),
    "q6_k": ("q6_k", {"head": ("q6_k",), "embeddings": ("q6_k",)}),
    "q8_0": ("q8_0", {"head": ("q8_0",), "embeddings": ("q8_0",)}),
    "mxfp4_moe": ("q8_0", {"experts": ("mxfp4",), "head": ("q8_0",), "embeddings": ("q8_0",)}),
}


@dataclass(frozen=True, slots=True)
class Precision:
    """``base`` for all matrices of the blocks but those named in ``parts`` (by product or by part).

    Embeddings, head and router stay at the activations' format unless named, as engines keep them.
    """

    name: str
    base: Format
    parts: tuple[tuple[str, Format], ...] = ()

    def of(self, part: str, product: str = "") -> Format:
        """Format of a product of that part."""
        for name, found in self.parts:
            if name in (product, part):
                return found
        return self.base if part in LINEAR else self.plain

    @property
    def plain(self) -> Format:
        """The format of activations: of what is not quantised."""
        if self.base.bytes >= 2:
            return self.base
        return number_format("bf16")


def precision(name: str, *, experts: bool = False, where: str = "dtype") -> Precision:
    """The precision a user names: a format for all matrices, or a GGUF mix; ``mxfp4`` is for experts if there are any.

    Unknown names raise ``ScenarioError``.
    """
    key = name.strip().casefold().replace("-m", "_m") if name.strip().casefold() in MIXES else name.strip().casefold()
    if key in MIXES:
        base, parts = MIXES[key]
        found = tuple((part, _mean(names)) for part, names in parts.items())
        if dict(parts).get("down"):
            found = (("expert_down", dict(found)["down"]), ("shared_down", dict(found)["down"]), *found)
        return Precision(key, number_format(base), found)
    if not known_format(name) and nearest(name, list(MIXES)):
        number = nearest(name, list(MIXES))
        raise ScenarioError.of("unknown number format", where=where, got=name, nearest=number)
    form = number_format(name, where=where)
    if form.name == "mxfp4" and experts:
        return Precision("mxfp4", number_format("bf16"), (("experts", form),))
    return Precision(form.name, form)


def _mean(names: tuple[str, ...]) -> Format:
    formats = [number_format(name) for name in names]
    if len(formats) == 1:
        return formats[0]
    return Format("+".join(names), sum(each.bytes for each in formats) / len(formats), formats[0].compute)


def of_checkpoint(config: Mapping[str, Any], plain: str, *, layers: int, where: str = "model") -> Precision | None:
    """The precision that a ``quantization_config`` describes, over matrices that are else ``plain``; None without."""
    section = config.get("quantization_config")
    if not isinstance(section, Mapping):
        return None
    where = f"{where}.quantization_config"
    form = _stored(section, where)
    left = _left_out(section, layers)
    if form.name == "mxfp4":
        left |= set(LINEAR) - {"experts"}
    kept = [part for part in LINEAR if part not in left]
    if not left or not kept:
        return Precision(form.name, form)
    return Precision(form.name, number_format(plain, where=where), tuple((part, form) for part in kept))


def _stored(section: Mapping[str, Any], where: str) -> Format:
    """The format of the quantised matrices, by method."""
    method = str(section.get("quant_method") or section.get("quant_algo") or "").casefold()
    if method in ("awq", "gptq", "auto-round", "autoround"):
        bits, group = int(section.get("bits", 4)), int(section.get("group_size", 128))
        if bits == 4 and group == 128:
            return number_format("awq" if method == "awq" else "gptq")
        return number_format(f"int{bits}-g{group if group > 0 else 4096}", where=where)
    if method == "fp8":
        return number_format("fp8-block" if section.get("weight_block_size") else "fp8")
    if method == "bitsandbytes":
        return number_format("w8a16" if section.get("load_in_8bit") else "nf4")
    if method.startswith("modelopt") or method in ("nvfp4", "fp8_pb_wo"):
        return number_format("nvfp4" if "fp4" in f"{method} {section.get('quant_algo', '')}".casefold() else "fp8")
    if method in ("compressed-tensors", "compressed_tensors", "quark"):
        return _compressed(section, where)
    return number_format(method or "nothing", where=where)


def _compressed(section: Mapping[str, Any], where: str) -> Format:
    """The first group of a compressed-tensors section."""
    groups = section.get("config_groups") or {}
    first = next(iter(groups.values()), {}) if isinstance(groups, Mapping) else {}
    weights = first.get("weights") or {}
    bits, group = int(weights.get("num_bits") or 8), weights.get("group_size")
    only_weights = first.get("input_activations") is None
    if weights.get("type") == "float":
        if bits == 4:
            return number_format("nvfp4")
        if only_weights:
            return number_format("fp8-weight")
        return number_format("fp8-block" if weights.get("strategy") == "block" else "fp8")
    if not only_weights and bits == 8:
        return number_format("int8")
    return number_format(f"int{bits}-g{int(group) if group and int(group) > 0 else 128}", where=where)


_MODULES = {
    "attention": ("self_attn", "attention", "linear_attn", "mixer"),
    "shared": ("shared_expert",),
    "ffn": ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", "mlp.(", r"mlp\.(", "feed_forward"),
    "experts": ("mlp.experts", "block_sparse_moe.experts", r"mlp\.experts"),
}


def _left_out(section: Mapping[str, Any], layers: int) -> set[str]:
    """Parts that a checkpoint leaves alone; a list of single layers counts when it names at least half of them."""
    patterns: list[str] = []
    for key in ("ignore", "modules_to_not_convert", "exclude_modules", "ignored_layers"):
        found = section.get(key)
        patterns += [str(each).casefold() for each in found] if isinstance(found, list) else []
    left: set[str] = set()
    for part, words in _MODULES.items():
        hits = [p for p in patterns if any(word in p for word in words) and "vision" not in p]
        general = [p for p in hits if not any(character.isdigit() for character in p)]
        numbered = {tuple(c for c in p.split(".") if c.isdigit()) for p in hits} - {()}
        if general or (hits and 2 * len(numbered) >= layers):
            left.add(part)
    return left
