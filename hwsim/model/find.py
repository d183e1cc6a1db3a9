"""A model by name: Hugging Face id from the catalogue, the path of a ``config.json``, or a family to be filled in."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from hwsim.errors import ScenarioError, nearest
from hwsim.model.config import family_of, from_config, read_config
from hwsim.model.model import Model
from hwsim.model.numerics import kv_format

CATALOG = Path(__file__).parent / "catalog"


@cache
def _files() -> tuple[dict[str, Any], ...]:
    return tuple(json.loads(path.read_text(encoding="utf-8")) for path in sorted(CATALOG.glob("*.json")))


def _merged(parts: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: entry for part in parts for name, entry in part.items()}


@cache
def catalog() -> dict[str, dict[str, Any]]:
    """Every catalogued model: ``config`` in Hugging Face's own keys, exact ``parameters``, ``source``, ``status``."""
    return _merged(each["models"] for each in _files())


@cache
def aliases() -> dict[str, dict[str, Any]]:
    """Ids of the same architecture: ``{alias: {of: id, …changed fields}}``."""
    return _merged(each.get("aliases", {}) for each in _files())


def names() -> list[str]:
    """All ids that :func:`find` knows without a file."""
    return sorted({*catalog(), *aliases()})


def find(
    name: str | Path,
    *,
    dtype: str | None = None,
    kv_cache_dtype: str | None = None,
    where: str = "model",
    **overrides: object,
) -> Model:
    """The model of that Hugging Face id, or of a ``config.json`` (or the folder of one) at that path.

    ``dtype`` and ``kv_cache_dtype`` choose number formats; other fields replace those of the config.  An id without
    its organisation is taken when only one fits.  A family's name (``gpt``, ``llama``…) is a model whose sizes are
    all given as fields.  Unknown ids raise ``ScenarioError`` with the nearest known one.
    """
    config, hf_id, source = _look_up(name, where)
    changed = {key: value for key, value in overrides.items() if value is not None}
    chosen = changed.pop("quantization", None) or dtype
    if chosen is not None and str(chosen).strip().casefold() == "auto":
        chosen = None
    text = None if chosen is None else str(chosen)
    model = from_config(config, changed=changed, dtype=text, hf_id=hf_id, source=source, where=where)
    if kv_cache_dtype is None:
        return model
    kept = kv_format(kv_cache_dtype, model.precision.plain, where=f"{where}.kv_cache_dtype")
    return replace(model, kv_cache_dtype=kept.name)


def _look_up(name: str | Path, where: str) -> tuple[dict[str, Any], str, str]:
    text = str(name)
    known = _resolve(text)
    if known is not None:
        alias = aliases().get(known)
        entry = catalog()[alias["of"] if alias else known]
        config = dict(entry["config"])
        if alias:
            config |= {key: value for key, value in alias.items() if key not in {"of", "source", "status"}}
        return config, known, f"{entry['source']} ({entry['status']})"
    path = Path(text)
    if text.endswith(".json") or path.is_dir():
        return read_config(path), "", text
    if family_of(text) is not None:
        return {"model_type": text}, text, f"sizes given, layers of the family {family_of(text)}"
    raise ScenarioError.of(
        "unknown model",
        where=where,
        got=text,
        expected="a Hugging Face id that `hwsim show models` lists, or the path of a config.json "
        "(huggingface.co/<id>/raw/main/config.json)",
        nearest=nearest(text, names()) or nearest(text.rpartition("/")[2], [n.rpartition("/")[2] for n in names()]),
    )


def _resolve(text: str) -> str | None:
    """The catalogue id meant: exact, or an id without its organisation when only one fits."""
    known = names()
    if text in known:
        return text
    if "/" in text:
        return None
    fits = [other for other in known if other.rpartition("/")[2].casefold() == text.casefold()]
    return fits[0] if len(fits) == 1 else None
