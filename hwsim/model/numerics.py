"""Number formats: the bytes of an element as stored, scales included, and the format the arithmetic runs in."""

from __future__ import annotations

from typing import NamedTuple

from hwsim.errors import ScenarioError, nearest


class Format(NamedTuple):
    """A number format.  ``bytes`` per element with its scales; ``compute`` names the peak that multiplies it.

    ``activation`` is the bytes of an activation beside such weights (16-bit formats and all quantised ones keep
    16-bit activations between kernels).
    """

    name: str
    bytes: float
    compute: str
    activation: int = 2


# Scales: fp8 one per tensor (negligible), int4 bf16 per 32, mxfp4 8 bit per 32, nvfp4 8 bit per 16.
_FORMATS = {
    "fp32": Format("fp32", 4.0, "fp32", 4),
    "bf16": Format("bf16", 2.0, "bf16"),
    "fp16": Format("fp16", 2.0, "fp16"),
    "fp8": Format("fp8", 1.0, "fp8"),
    "int8": Format("int8", 1.0, "int8"),
    "int4": Format("int4", 0.5625, "bf16"),
    "mxfp4": Format("mxfp4", 0.53125, "bf16"),
    "nvfp4": Format("nvfp4", 0.5625, "fp4"),
}
_ALIASES = {
    "float32": "fp32",
    "float": "fp32",
    "bfloat16": "bf16",
    "float16": "fp16",
    "half": "fp16",
    "e4m3": "fp8",
    "e5m2": "fp8",
    "fp8_e4m3": "fp8",
    "fp8_e5m2": "fp8",
    "float8_e4m3fn": "fp8",
    "w8a8": "int8",
    "w4a16": "int4",
    "awq": "int4",
    "gptq": "int4",
}
KV_FORMATS = ("fp32", "bf16", "fp16", "fp8")


def number_format(name: str, *, where: str = "dtype") -> Format:
    """The format of that name or alias (``bfloat16``, ``e4m3``, ``awq``…); unknown names raise ``ScenarioError``."""
    key = name.strip().casefold().removeprefix("torch.")
    key = _ALIASES.get(key, key)
    if key not in _FORMATS:
        known = [*_FORMATS, *_ALIASES]
        raise ScenarioError.of(
            "unknown number format",
            where=where,
            got=name,
            expected="one of " + ", ".join(_FORMATS),
            nearest=nearest(name, known),
        )
    return _FORMATS[key]


def kv_format(name: str, weights: Format, *, where: str = "kv_cache_dtype") -> Format:
    """The format of the KV cache; ``auto`` is the activations' own format."""
    if name.strip().casefold() == "auto":
        if weights.name in KV_FORMATS and weights.name != "fp8":
            return weights
        return _FORMATS["bf16"]
    found = number_format(name, where=where)
    if found.name not in KV_FORMATS:
        raise ScenarioError.of(
            "no engine keeps KV in this format",
            where=where,
            got=name,
            expected="auto, " + ", ".join(KV_FORMATS),
        )
    return found
