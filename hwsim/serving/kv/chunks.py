"""The prompt of a request as chunks: what one prefix id names, by the pages it fills."""

from __future__ import annotations

from typing import NamedTuple

from hwsim.serving.request import Request


class Chunk(NamedTuple):
    """Pages ``first <= page < end`` of a prompt, known by ``key``: equal key, equal text up to its end."""

    key: int
    first: int
    end: int


def chunks(request: Request, page: int) -> list[Chunk]:
    """The chunks of a prompt that fill pages of ``page`` tokens, in order; what fills none is left out.

    Keys and page limits are those of :class:`~hwsim.serving.kv.pool.PagePool`: a key is the chain of all ids up to
    it, a page that two blocks share belongs to the later one.
    """
    found: list[Chunk] = []
    if request.prefix_ids is None:
        return found
    block, last = request.prefix_block, request.prompt_tokens
    tokens = chain = first = 0
    for name in request.prefix_ids:
        tokens += block
        chain = hash((chain, name))
        end = (tokens if tokens < last else last) // page
        if end > first:
            found.append(Chunk(chain, first, end))
            first = end
    return found
