"""The prompt of a request as chunks: what one prefix id names, by the pages it fills."""

from __future__ import annotations

from itertools import accumulate

from hwsim.serving.request import Request


def chains(request: Request) -> list[int]:
    """A name for each prefix id of a request that says all that precedes it, too; found once."""
    found = request.chains
    if found is None:
        found = request.chains = chained(request.prefix_ids or ())
    return found


def chained(ids: tuple[int, ...]) -> list[int]:
    """The chain of all ids up to each: equal chain, equal text."""
    return list(accumulate(ids, _link, initial=0))[1:]


def _link(chain: int, name: int) -> int:
    return hash((chain, name))


class Chunks:
    """The chunks of a prompt in order: ``keys``, and the page at which each ends (where the next begins)."""

    __slots__ = ("ends", "keys")

    def __init__(self, keys: list[int], ends: list[int]) -> None:
        self.keys = keys
        self.ends = ends

    def first(self, number: int) -> int:
        """The page with which a chunk begins."""
        return self.ends[number - 1] if number else 0

    def sizes(self) -> list[int]:
        """The pages of each."""
        ends = self.ends
        return [end - first for first, end in zip((0, *ends), ends, strict=False)]


def chunks(request: Request, page: int) -> Chunks:
    """The chunks of a prompt that fill pages of ``page`` tokens, in order; what fills none is left out.

    Keys and page limits are those of :class:`~hwsim.serving.kv.pool.PagePool`: a page that two blocks share belongs
    to the later one.
    """
    return chunks_of(chains(request), request.prefix_block, request.prompt_tokens, page)


def chunks_of(names: list[int], block: int, tokens: int, page: int) -> Chunks:
    """The chunks of the first ``tokens`` tokens of a text in blocks of ``block`` tokens."""
    last = tokens // page
    if not names:
        return Chunks([], [])
    each = block // page
    if each * page == block:
        count = min(len(names), last // each)
        keys, ends = names[:count], list(range(each, count * each + 1, each))
        if count < len(names) and count * each < last:  # the rest of the prompt
            keys.append(names[count])
            ends.append(last)
        return Chunks(keys, ends)
    keys, ends, first = [], [], 0
    for number, name in enumerate(names, 1):
        end = min(number * block // page, last)
        if end > first:
            keys.append(name)
            ends.append(end)
            first = end
    return Chunks(keys, ends)
