"""Number formats: the bytes of an element as stored, scales included, and the format the arithmetic runs in."""

from __future__ import annotations

import re
from typing import NamedTuple

from hwsim.errors import ScenarioError, nearest


class Format(NamedTuple):
    """A number format.  ``bytes`` per element with its scales; ``compute`` names the peak that multiplies it.

    ``activation`` is the bytes of an activation beside such weights (16-bit formats and all quantised ones keep
    16-bit activations between kernels).  ``compute`` bf16 with fewer bytes is weight-only quantisation: weights are
    unpacked inside the kernel.
    """

    name: str
    bytes: float
    compute: str
    activation: int = 2


def _bits(name: str, bits: float, compute: str = "bf16") -> Format:
    return Format(name, bits / 8, compute)


# Bits per element with scales.  fp8 one scale per tensor (negligible) or a 32-bit one per 128x128 block; int4 bf16 per
# 32; awq and gptq bf16 scale and 4-bit zero point per 128; w4a16 bf16 scale per 128; mxfp4 8 bit per 32; nvfp4 8 bit
# per 16; nf4 8-bit scale per 64 and a second level of 32 bit per 256 of those.  GGUF blocks: layout of ggml-common.h.
_FORMATS = {
    each.name: each
    for each in (
        Format("fp32", 4.0, "fp32", 4),
        Format("bf16", 2.0, "bf16"),
        Format("fp16", 2.0, "fp16"),
        Format("fp8", 1.0, "fp8"),
        Format("fp8-block", 1.0 + 4 / 128**2, "fp8_block"),
        Format("fp8-weight", 1.0, "bf16"),
        Format("int8", 1.0, "int8"),
        _bits("w8a16", 8 + 16 / 128),
        _bits("int4", 4 + 16 / 32),
        _bits("awq", 4 + 20 / 128),
        _bits("gptq", 4 + 20 / 128),
        _bits("w4a16", 4 + 16 / 128),
        _bits("nf4", 4 + 8 / 64 + 32 / (64 * 256)),
        _bits("mxfp4", 4 + 8 / 32),
        _bits("mxfp8", 8 + 8 / 32, "fp8"),
        _bits("nvfp4", 4 + 8 / 16, "fp4"),
        _bits("q2_k", 84 * 8 / 256),
        _bits("q3_k", 110 * 8 / 256),
        _bits("q4_k", 144 * 8 / 256),
        _bits("q5_k", 176 * 8 / 256),
        _bits("q6_k", 210 * 8 / 256),
        _bits("q4_0", 18 * 8 / 32),
        _bits("q4_1", 20 * 8 / 32),
        _bits("q5_0", 22 * 8 / 32),
        _bits("q5_1", 24 * 8 / 32),
        _bits("q8_0", 34 * 8 / 32),
        _bits("iq4_nl", 18 * 8 / 32),
        _bits("iq4_xs", 136 * 8 / 256),
        _bits("iq3_xxs", 98 * 8 / 256),
        _bits("iq2_xxs", 66 * 8 / 256),
    )
}
_ALIASES = {
    "float32": "fp32",
    "float": "fp32",
    "f32": "fp32",
    "bfloat16": "bf16",
    "float16": "fp16",
    "half": "fp16",
    "f16": "fp16",
    "e4m3": "fp8",
    "e5m2": "fp8",
    "fp8_e4m3": "fp8",
    "fp8_e5m2": "fp8",
    "float8_e4m3fn": "fp8",
    "fp8_block": "fp8-block",
    "w8a8": "int8",
    "awq_marlin": "awq",
    "gptq_marlin": "gptq",
    "bitsandbytes": "nf4",
    "fp4": "nvfp4",
}
_GROUPED = re.compile(r"int(2|3|4|8)-g(\d+)")
KV_FORMATS = ("fp32", "bf16", "fp16", "fp8", "int8", "nvfp4", "q8_0", "q4_0")


def number_format(name: str, *, where: str = "dtype") -> Format:
    """The format of that name or alias (``bfloat16``, ``e4m3``, ``awq``, ``int4-g64``…); others: ``ScenarioError``."""
    key = name.strip().casefold().removeprefix("torch.")
    key = _ALIASES.get(key, key)
    grouped = _GROUPED.fullmatch(key)
    if grouped and int(grouped[2]):
        return _bits(key, int(grouped[1]) + 16 / int(grouped[2]))
    if key not in _FORMATS:
        known = [*_FORMATS, *_ALIASES]
        raise ScenarioError.of(
            "unknown number format",
            where=where,
            got=name,
            expected="one of " + ", ".join(_FORMATS) + " or int4-g<group>",
            nearest=nearest(name, known),
        )
    return _FORMATS[key]


def known_format(name: str) -> bool:
    """Whether :func:`number_format` knows this name."""
    key = name.strip().casefold().removeprefix("torch.")
    return _ALIASES.get(key, key) in _FORMATS or bool(_GROUPED.fullmatch(key))


def kv_format(name: str, weights: Format, *, where: str = "kv_cache_dtype") -> Format:
    """The format of the KV cache; ``auto`` is the activations' own format."""
    if name.strip().casefold() == "auto":
        return weights if weights.name in ("fp32", "bf16", "fp16") else _FORMATS["bf16"]
    found = number_format(name, where=where)
    if found.name not in KV_FORMATS:
        raise ScenarioError.of(
            "no engine keeps KV in this format",
            where=where,
            got=name,
            expected="auto, " + ", ".join(KV_FORMATS),
        )
    return found
