"""A ``vllm serve`` command read as argparse reads it: long and short flags, ``=``, underscores, unique prefixes."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from typing import Any

from hwsim.cli.launch.vllm_flags import KNOWN, MAPPED, PLAIN, SHORT, SWITCHES
from hwsim.errors import Problem, ScenarioError, nearest

_DTYPES = {
    "auto": None,
    "half": "fp16",
    "float16": "fp16",
    "bfloat16": "bf16",
    "float": "fp32",
    "float32": "fp32",
}
_QUANTIZATIONS = {
    "fp8": "fp8",
    "fbgemm_fp8": "fp8",
    "ptpc_fp8": "fp8",
    "modelopt": "fp8",
    "modelopt_fp4": "nvfp4",
    "nvfp4": "nvfp4",
    "mxfp4": "mxfp4",
    "awq": "awq",
    "awq_marlin": "awq",
    "gptq": "gptq",
    "gptq_marlin": "gptq",
    "bitsandbytes": "nf4",
    "experts_int8": "int8",
    "compressed-tensors": None,
    "auto": None,
}
_UNITS = {"k": 10**3, "m": 10**6, "g": 10**9, "K": 2**10, "M": 2**20, "G": 2**30}


@dataclass
class Command:
    """What a command says: settings by dotted path, flags without effect, and flags that are not simulated."""

    settings: dict[str, Any] = field(default_factory=dict)
    plain: list[str] = field(default_factory=list)
    unmodelled: list[str] = field(default_factory=list)


def read(text: str) -> Command:
    """The command of one vLLM server; everything that is wrong with it at once."""
    try:
        words = shlex.split(text.replace("\\\n", " "), comments=False)
    except ValueError as error:
        raise ScenarioError.of(f"is no command line: {error}", where="--from-vllm", got=text[:60]) from None
    words = _after_the_program(words)
    command, problems = Command(), []
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if not word.startswith("-") or word == "-":
            if "model.like" in command.settings:
                problems.append(Problem("a second model", "--from-vllm", got=word, expected="one model, then flags"))
            command.settings.setdefault("model.like", word)
            continue
        name, value, known = _split(word)
        if not known:
            problems.append(_unknown(word, name))
            # Its value, if it has one, must not be taken for the model.
            position += position < len(words) and not words[position].startswith("-") and value is None
            continue
        negated = name.startswith("no-") and name[3:] in SWITCHES
        switch = negated or name in SWITCHES
        if value is None and not switch:
            values = []
            while position < len(words) and (not words[position].startswith("-") or _number(words[position])):
                values.append(words[position])
                position += 1
                if name not in ("cuda-graph-sizes", "cudagraph-capture-sizes", "lora-modules", "served-model-name"):
                    break
            if not values:
                problems.append(Problem("has no value", f"--{name}", expected="a value after it"))
                continue
            value = " ".join(values)
        try:
            _keep(command, name, value, negated)
        except ValueError as error:
            problems.append(Problem(str(error), f"--{name}", got=repr(value)))
    if "model.like" not in command.settings:
        problems.append(Problem("names no model", "--from-vllm", text[:60], "vllm serve MODEL …"))
    if problems:
        raise ScenarioError(problems)
    return command


def _after_the_program(words: list[str]) -> list[str]:
    """Without environment settings and the program: vllm serve, or python -m vllm.entrypoints.openai.api_server."""
    while words and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*=.*", words[0]):
        words = words[1:]
    if words[:2] == ["vllm", "serve"]:
        return words[2:]
    for place, word in enumerate(words[:4]):
        if word.startswith("vllm.entrypoints.") and place and words[place - 1] == "-m":
            return words[place + 1 :]
    if words and not words[0].startswith("-") and words[0] != "vllm" and "/" in words[0]:
        return words
    raise ScenarioError.of(
        "is not a launch command of vLLM",
        where="--from-vllm",
        got=" ".join(words)[:60],
        expected="vllm serve MODEL --tensor-parallel-size 4 …",
    )


def _split(word: str) -> tuple[str, str | None, bool]:
    """Name, value after ``=``, and whether the flag is known; ``-tp4`` and ``-tp=4`` are short forms with a value."""
    head, equals, value = word.partition("=")
    given = value if equals else None
    if not word.startswith("--"):
        short = head if head in SHORT else next((s for s in sorted(SHORT, key=len)[::-1] if head.startswith(s)), "")
        if not short or (short != head and not head[len(short) :].isdigit()):
            return head.lstrip("-"), given, False
        return SHORT[short], given if short == head else head[len(short) :], True
    name = head[2:].replace("_", "-")
    stem, dot, rest = name.partition(".")
    if dot and stem in KNOWN:
        return stem, json.dumps({rest.replace("-", "_"): given}), True
    bare = name.removeprefix("no-")
    if name in KNOWN or (bare in SWITCHES and name != bare):
        return name, given, True
    starts = [known for known in KNOWN if known.startswith(name)]
    return (starts[0], given, True) if len(starts) == 1 else (name, given, False)


def _unknown(word: str, name: str) -> Problem:
    starts = [known for known in KNOWN if known.startswith(name)]
    if len(starts) > 1:
        some = ", ".join(f"--{known}" for known in starts[:4])
        return Problem("a flag that could be several", word, expected=some)
    near = nearest(name.removeprefix("no-"), KNOWN)
    return Problem("unknown flag of vllm serve", word, nearest=f"--{near}" if near else "")


def _number(word: str) -> bool:
    return bool(re.fullmatch(r"-\d+", word))


def _keep(command: Command, name: str, value: str | None, negated: bool) -> None:
    bare = name.removeprefix("no-") if negated else name
    if bare not in MAPPED:
        shown = f"--{name}" + (f" {value}" if value is not None else "")
        (command.plain if bare in PLAIN else command.unmodelled).append(shown)
        return
    flag = MAPPED[bare]
    found = _value(flag.read, value, negated)
    if flag.read == "overrides":
        command.settings |= {f"model.{key}": item for key, item in found.items()}
    elif isinstance(found, dict) and isinstance(command.settings.get(flag.path), dict):
        command.settings[flag.path] |= found
    elif found is not None:
        command.settings[flag.path] = found


def _value(read: str, value: str | None, negated: bool) -> Any:
    text = value or ""
    if read in ("flag", "eager"):
        truth = not negated and text.casefold() not in ("false", "0")
        return truth if read == "flag" else (False if truth else None)
    if read == "whole":
        return _whole(text)
    if read == "length":
        return "auto" if text in ("auto", "-1") else _whole(text)
    if read == "share":
        number = float(text) if re.fullmatch(r"[0-9.]+", text) else -1.0
        if not 0 < number <= 1:
            raise ValueError("is no share; expected a number between 0 and 1")
        return number
    if read == "sizes":
        return [_whole(size) for size in re.split(r"[\s,]+", text.strip("[] "))]
    if read == "word":
        return text
    if read == "speculative":
        return _speculative(_mapping(text))
    if read == "overrides":
        return _mapping(text)
    words = {"dtype": _DTYPES, "quantization": _QUANTIZATIONS}.get(read)
    if words is None:  # the KV cache: fp8 in any of its forms, or the model's own
        if text in ("auto", "bfloat16", "float16"):
            return None
        if not text.startswith("fp8"):
            raise ValueError("is no format of the KV cache; expected auto, fp8, fp8_e4m3 or fp8_e5m2")
        return "fp8"
    if text not in words:
        raise ValueError("is not one of its values; expected " + ", ".join(words))
    return words[text]


def _whole(text: str) -> int:
    """vLLM's human-readable numbers: 8k is 8,000 and 8K is 8,192."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmMgG]?)", text)
    if match is None or ("." in match[1] and not match[2]):
        raise ValueError("is no whole number; expected 8192, 8k (8,000) or 8K (8,192)")
    return int(float(match[1]) * _UNITS.get(match[2], 1))


def _mapping(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("is no JSON; expected '{\"key\": value}'") from None
    if not isinstance(found, dict):
        raise ValueError("is no JSON object; expected '{\"key\": value}'")
    return found


def _speculative(config: dict[str, Any]) -> dict[str, Any]:
    """``{model, num_speculative_tokens, method}`` as the scenario's ``speculate``."""
    method = config.get("method")
    tokens = config.get("num_speculative_tokens")
    found: dict[str, Any] = {"kind": "draft"}
    if method not in (None, "draft_model") and config.get("model") is None:
        found["kind"] = str(method)
    if config.get("model") is not None:
        found["model"] = str(config["model"])
    if tokens is not None:
        found["num_speculative_tokens"] = int(tokens)
    return found
