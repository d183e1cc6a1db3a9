"""LLMServingSim traces: JSON lines with input_toks, output_toks, arrival_time_ns and perhaps the prompt's token ids."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hwsim.workload.trace import BadRow, Remark, Row, first_line, lines_of, moment, whole

BLOCK = 16
EXAMPLE = '{"input_toks": 12, "output_toks": 34, "arrival_time_ns": 0}'


class LlmServingSim:
    """Token ids become prefix ids of 16 tokens: equal ids, equal prompt up to that block.  Sessions are refused."""

    @staticmethod
    def matches(head: str) -> bool:
        """True for a JSON line with this format's keys."""
        line = first_line(head)
        return line.startswith("{") and ('"input_toks"' in line or '"sub_requests"' in line)

    @staticmethod
    def rows(path: Path) -> Iterator[tuple[int, Row | Remark | BadRow]]:
        """(line, row) for every line."""
        for number, line in lines_of(path):
            if not line.strip():
                continue
            try:
                yield number, _row(line)
            except BadRow as problem:
                yield number, problem


def _row(line: str) -> Row:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        raise BadRow("not a JSON line", line.strip(), EXAMPLE) from None
    if not isinstance(data, dict):
        raise BadRow("not a JSON object", line.strip(), EXAMPLE)
    if "sub_requests" in data:
        raise BadRow("sessions with sub_requests cannot be read yet", line.strip(), "one request a line")
    time = moment(data.get("arrival_time_ns"), "arrival_time_ns", unit=1000, words="nanoseconds")
    prompt = whole(data.get("input_toks"), "input_toks")
    return Row(
        time,
        prompt,
        whole(data.get("output_toks"), "output_toks"),
        prefix_ids=_prefix(data, prompt),
        prefix_block=BLOCK,
    )


def _prefix(data: Mapping[str, Any], prompt: int) -> tuple[int, ...]:
    """One id per full block: a hash of all token ids up to its end."""
    tokens = data.get("input_tok_ids") or data.get("input_token_ids") or []
    if not tokens:
        return ()
    if not isinstance(tokens, list) or any(isinstance(t, bool) or not isinstance(t, int) for t in tokens):
        raise BadRow("input_tok_ids is no list of whole numbers", tokens, "[1, 2, 3]")
    if len(tokens) != prompt:
        raise BadRow("input_tok_ids do not match input_toks", f"{len(tokens)} ids", f"{prompt}, one per token")
    found = []
    chain = hashlib.blake2b(digest_size=8)
    for end in range(BLOCK, len(tokens) + 1, BLOCK):
        chain.update(",".join(map(str, tokens[end - BLOCK : end])).encode() + b";")
        found.append(int.from_bytes(chain.digest(), "little") >> 1)
    return tuple(found)


PART = LlmServingSim
