"""From the names that publications use to hwsim's: models, GPUs with their usual node, engines, number formats.

Names are looked up as they stand, then by the aliases of ``names.yaml``; what cannot be found is said, never guessed.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from hwsim.errors import ScenarioError

# Endings that name a tuning or a number format of the same network.
_TUNED = re.compile(r"-(instruct|chat|it|base|thinking|\d{4}|fp8|nvfp4|fp4|awq|gptq|hf|dynamic|coder)$")


_SPELLINGS = {"trtllm": "trtllm|tensorrt-llm|trt-llm|tensorrt_llm", "llama.cpp": "llama[.-]?cpp"}


class Unknown(Exception):
    """A name that hwsim does not have (yet)."""


@cache
def _aliases() -> dict[str, dict[str, str]]:
    import yaml

    data = yaml.safe_load((Path(__file__).parent / "names.yaml").read_text(encoding="utf-8"))
    return {part: {plain(str(key)): value for key, value in data[part].items()} for part in data}


def alias(part: str, name: str) -> str:
    """What ``names.yaml`` calls a name in one of its parts, or the name itself."""
    return _aliases()[part].get(plain(name), name)


def plain(text: str) -> str:
    """A name without case, spaces and punctuation between its words."""
    return re.sub(r"[\s_\-./]+", "-", text.strip().casefold()).strip("-")


@cache
def _by_plain() -> dict[str, str]:
    from hwsim.model.find import names

    return {plain(other.rpartition("/")[2]): other for other in reversed(names())}


@cache
def _ids() -> frozenset[str]:
    return frozenset(_by_plain().values())


def model(name: str) -> str:
    """The Hugging Face id of a model; raises :class:`Unknown`."""
    wanted = _aliases()["models"].get(plain(name), name)
    if wanted in _ids():
        return wanted
    by_plain = _by_plain()
    name_left = plain(wanted.rpartition("/")[2])
    while name_left:
        found = by_plain.get(name_left) or by_plain.get(f"{name_left}-hf") or by_plain.get(f"{name_left}-instruct")
        if found is not None:
            return found
        shorter = _TUNED.sub("", name_left)
        if shorter == name_left:
            break
        name_left = shorter
    raise Unknown(f"model {name}")


def _in_blocks(hf_id: str) -> bool:
    """Whether the 8-bit release of this model has a scale per block of its matrices."""
    return any(plain(hf_id).startswith(name) for name in _aliases()["fp8_in_blocks"])


def dtype(text: str, hf_id: str) -> str | None:
    """The number format of the weights, ``None`` for the model's own."""
    lower = text.strip().casefold()
    if lower in ("", "see submission"):
        return None
    for words, name in (
        (("nvfp4",), "nvfp4"),
        (("mxfp4",), "mxfp4"),
        (("fp4",), "mxfp4" if "gpt-oss" in hf_id.casefold() else "nvfp4"),
        (("fp8",), "fp8"),
        (("bf16", "bfloat16"), "bf16"),
        (("fp16", "f16", "float16"), "fp16"),
        (("q8_0",), "q8_0"),
        (("q4_k_m", "q4_k"), "q4_k_m"),
        (("int4", "uint4", "awq", "gptq", "4-bit"), "int4"),
        (("int8",), "int8"),
    ):
        if any(lower.startswith(word) for word in words):
            return "fp8-block" if name == "fp8" and _in_blocks(hf_id) else name
    raise Unknown(f"number format {text}")


def gpu(name: str) -> str:
    """The catalogue name of a GPU; raises :class:`Unknown`."""
    found = _gpu(name)
    if found is None:
        raise Unknown(f"GPU {name}")
    return found


@cache
def _gpu(name: str) -> str | None:
    from hwsim.hardware.catalogue import product

    wanted = _aliases()["gpus"].get(plain(name), name)
    for candidate in (wanted, plain(wanted)):
        try:
            entry = product(candidate)
        except ScenarioError:
            continue
        if entry["kind"] == "gpu":
            return str(entry["name"])
    return None


@cache
def node(gpu_name: str, count: int) -> Any:
    """A node with at least ``count`` such GPUs: the catalogue's own for it, otherwise the usual server changed."""
    from hwsim.hardware.catalogue import files, load

    fits: list[tuple[int, str]] = []
    for path in files().values():
        entry = load(path)
        inside = entry.get("gpu")
        if entry.get("kind") != "node" or not isinstance(inside, dict) or inside.get("like") != gpu_name:
            continue
        held = inside.get("count", 1)
        held = int(held["value"] if isinstance(held, dict) else held)
        if held >= count:
            fits.append((held, str(entry["name"])))
    if fits:
        return min(fits)[1]
    return {"like": "hgx-h100", "gpu": {"like": gpu_name, "count": min(max(count, 1), 8)}}


@cache
def engine(text: str) -> tuple[str, str]:
    """The profile of an engine and what was assumed of its version; raises :class:`Unknown` without its scheduler."""
    from hwsim.serving.engine_profile import names

    lower = text.casefold()
    family = next((name for name, words in _families() if any(word in lower for word in words)), "")
    if not family:
        raise Unknown(f"engine {text}")
    known = {}
    for name in names():
        made = re.fullmatch(rf"(?:{_SPELLINGS.get(family, family)})-(?:v\d-)?(\d+(?:\.\d+)*)", name)
        if made:
            known[tuple(int(part) for part in made[1].split("."))] = name
    if not known:
        raise Unknown(f"scheduler of {family}")
    version = re.search(r"(\d+(?:\.\d+)+)", text)
    if version is None:
        newest = known[max(known)]
        return newest, f"engine version not given, {newest} assumed"
    parts = tuple(int(part) for part in version[1].split("."))
    older = [key for key in known if key <= parts]
    chosen = max(older) if older else min(known)
    profile = known[chosen]
    exact = chosen == parts[: len(chosen)]
    return profile, "" if exact else f"{text} scored as {profile}"


def _families() -> list[tuple[str, tuple[str, ...]]]:
    return [
        ("trtllm", ("trtllm", "tensorrt", "trt-llm")),
        ("sglang", ("sglang",)),
        ("vllm", ("vllm",)),
        ("llama.cpp", ("llama.cpp", "ollama")),
    ]
