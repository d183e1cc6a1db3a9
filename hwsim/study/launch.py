"""Launch options that a client's scripts give the server: rules of a protocol, each for the rows that it names.

A rule is a mapping: ``engine`` (how its name starts), ``model`` (what its name may hold), ``prompt`` and
``answer`` (nominal tokens), ``most_tp``; what is left out fits every row.  It sets ``serve`` options as they are, and
``beyond_prompt`` makes ``max_num_batched_tokens`` the prompt, the clients and so many tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Rule = Mapping[str, Any]


class Setup(NamedTuple):
    """What a rule may depend on."""

    engine: str
    model: str
    clients: int
    prompt: int = 0
    answer: int = 0
    tp: int = 1


def options(rules: Iterable[Rule], setup: Setup) -> dict[str, Any]:
    """What all rules that fit set together; a later rule has the last word."""
    found: dict[str, Any] = {}
    for rule in rules:
        if not _fits(rule, setup):
            continue
        found.update(rule.get("serve", {}))
        if "beyond_prompt" in rule:
            found["max_num_batched_tokens"] = setup.prompt + setup.clients + rule["beyond_prompt"]
    return found


def _fits(rule: Rule, setup: Setup) -> bool:
    engines, models = rule.get("engine", [""]), rule.get("model", [""])
    return (
        setup.engine.casefold().startswith(tuple(engines))
        and any(name in setup.model.casefold() for name in models)
        and rule.get("prompt", setup.prompt) == setup.prompt
        and rule.get("answer", setup.answer) == setup.answer
        and setup.tp <= rule.get("most_tp", setup.tp)
    )
