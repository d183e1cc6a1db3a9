"""ShareGPT: a JSON list (or lines) of conversations, or of lengths counted already; no arrival times.

As ``vllm bench serve`` does, a conversation gives one request: its first turn is the prompt, its second the answer.
Text without token counts is estimated at four characters a token, and the run says so; exact lengths need a tokenizer
beforehand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hwsim.workload.trace import BadRow, Remark, Row, items_of, whole

CHARACTERS_PER_TOKEN = 4.0  # English text under today's BPE tokenizers (MEMORY)
PROMPT = ("prompt_len", "prompt_tokens", "input_len", "input_length", "input_tokens", "num_prompt_tokens")
OUTPUT = ("output_len", "output_tokens", "output_length", "response_tokens", "completion_tokens", "response_len")
COUNTS = ("tokens", "num_tokens", "token_count", "length")
SHORT = "conversations have fewer than two turns and are left out"
EMPTY = "conversations have an empty turn and are left out"
ESTIMATED = f"requests have lengths estimated at {CHARACTERS_PER_TOKEN:g} characters a token"
EXAMPLE = '{"conversations": [{"from": "human", "value": "…"}, {"from": "gpt", "value": "…"}]}'


class ShareGpt:
    """Streams a list of any length; each item is bounded."""

    @staticmethod
    def matches(head: str) -> bool:
        """True for JSON with conversations, or with pairs of lengths."""
        start = head.lstrip()
        if not start.startswith(("[", "{")):
            return False
        pair = any(f'"{name}"' in head for name in PROMPT) and any(f'"{name}"' in head for name in OUTPUT)
        return '"conversations"' in head or '"conversation"' in head or (pair and '"timestamp"' not in head)

    @staticmethod
    def rows(path: Path) -> Iterator[tuple[int, Row | Remark | BadRow]]:
        """(line, row) for every conversation."""
        for number, item in items_of(path):
            try:
                if isinstance(item, BadRow):
                    raise item
                if not isinstance(item, dict):
                    raise BadRow("not a conversation", item, EXAMPLE)
                for found in _request(item):
                    yield number, found
            except BadRow as problem:
                yield number, problem


def _request(item: Mapping[str, Any]) -> Iterator[Row | Remark]:
    prompt = next((name for name in PROMPT if name in item), None)
    output = next((name for name in OUTPUT if name in item), None)
    if prompt is not None and output is not None:
        yield Row(None, whole(item[prompt], prompt), whole(item[output], output))
        return
    turns = item.get("conversations", item.get("conversation", item.get("messages")))
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise BadRow("no conversations and no lengths", item, EXAMPLE)
    if len(turns) < 2:
        yield Remark(SHORT)
        return
    lengths = [_length(turn) for turn in turns[:2]]
    if not all(length for length, _ in lengths):
        yield Remark(EMPTY)
        return
    yield Row(None, lengths[0][0], lengths[1][0])
    if any(estimated for _, estimated in lengths):
        yield Remark(ESTIMATED)


def _length(turn: Mapping[str, Any]) -> tuple[int, bool]:
    """Tokens of a turn, and whether they are an estimate."""
    count = next((name for name in COUNTS if name in turn), None)
    if count is not None:
        return whole(turn[count], count, least=0), False
    text = turn.get("value", turn.get("content"))
    if not isinstance(text, str):
        raise BadRow("a turn has no text", turn, '{"from": "human", "value": "…"}')
    return -(-len(text.strip()) // int(CHARACTERS_PER_TOKEN)), True


PART = ShareGpt
