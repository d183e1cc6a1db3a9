"""A page pool that remembers what others want to know of it: prompts that are complete, and content that is lost."""

from __future__ import annotations

from typing import Any

from hwsim.serving.kv.chunks import Chunks, chained, chunks_of
from hwsim.serving.kv.pool import PagePool
from hwsim.serving.kv.runs import Node
from hwsim.serving.request import Request


class WatchedPool(PagePool):
    """Notes events in two lists that whoever watches it empties; what the pool does is unchanged.

    ``answers``: chunks of prompts with their answers that have been entered since their sessions go on from there.
    ``gone`` and ``gone_pages``: chunks that begin to lose their pages, from the deep end; their whole content was there
    until now.  ``complete``: requests whose whole prompt has been entered in the index.
    """

    __slots__ = ("answers", "complete", "gone", "gone_pages")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.gone: list[int] = []
        self.gone_pages: list[int] = []
        self.complete: list[Request] = []
        self.answers: list[Chunks] = []
        self.on_evict = self._lost

    def _lost(self, node: Node, low: int, high: int) -> None:
        names, keys, sizes = node.chains, self.gone, self.gone_pages
        if not names:
            return
        block, size, place = node.block, self.block_size, node.place
        each = block // size
        if each * size == block:
            first, last = low // each, (high - 1) // each
            if not keys or keys[-1] != names[last]:
                keys.append(names[last])
                sizes.append(high - last * each)
            if last > first:
                keys += names[last - 1 : first - 1 if first else None : -1]
                sizes += [each] * (last - first)
            return
        base = place * block // size
        while high > low:
            number = ((high + base) * size - 1) // block  # the block to which the last of these pages belongs
            begin = number * block // size - base
            name = names[number - place]
            if not keys or keys[-1] != name:
                keys.append(name)
                sizes.append(high - begin)
            high = begin

    def spares(self, pages: int) -> bool:
        """Whether so many pages can be taken while nothing is lost that anybody could ask for."""
        left = pages - self.blank
        for run in self.queue:
            if left <= 0 or run.copy is not None:
                break
            left -= run.hi - run.lo
        return left <= 0

    def register(self, request: Request, tokens: int) -> None:
        """Enter pages in the index, and note whether they are the last of the prompt."""
        super().register(request, tokens)
        if tokens >= request.prompt_tokens:
            self.complete.append(request)

    def register_answer(self, request: Request, tokens: int) -> None:
        """Enter an answer in the index, and note what there is now."""
        super().register_answer(request, tokens)
        if request.private is None and self.caching:
            names = chained(request.answer_ids or ())
            self.answers.append(chunks_of(names, request.prefix_block, tokens, self.block_size))
