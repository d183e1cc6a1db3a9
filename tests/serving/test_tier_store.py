"""Books of KV tiers: pages are conserved, no tier is over its limit, and hits are those of a per-page model."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from hwsim.part import Parts
from hwsim.serving.kv.chunks import Chunks, chunks
from hwsim.serving.kv.pool import PagePool
from hwsim.serving.kv.tier import Move, Tier
from hwsim.serving.kv.tier_store import TierStore
from hwsim.serving.policies.evict.lru import Lru
from hwsim.serving.request import Request

EVICTIONS = Parts("hwsim.serving.policies.evict")


class Chunk(NamedTuple):
    """Pages ``first <= page < end`` of a prompt."""

    key: int
    first: int
    end: int


def as_chunks(prompt: list[Chunk]) -> Chunks:
    return Chunks([chunk.key for chunk in prompt], [chunk.end for chunk in prompt])


class PageModel:
    """Every page by itself in lists, oldest chunk first; copies land at once; nothing shared with the code."""

    def __init__(self, capacities: list[int]) -> None:
        self.capacities = capacities
        self.tiers: list[list[tuple[int, set[int]]]] = [[] for _ in capacities]

    def at(self, level: int, key: int) -> set[int]:
        return next((pages for name, pages in self.tiers[level] if name == key), set())

    def young(self, level: int, key: int) -> None:
        tier = self.tiers[level]
        entry = next(entry for entry in tier if entry[0] == key)
        tier.remove(entry)
        tier.append(entry)

    def put(self, level: int, key: int, pages: set[int]) -> None:
        if level == len(self.tiers):
            return
        tier = self.tiers[level]
        if self.at(level, key) >= pages:
            self.young(level, key)
            return
        if len(pages) > self.capacities[level]:
            if self.at(level, key):
                self.young(level, key)
            return
        if self.at(level, key):
            self.young(level, key)
        old = self.at(level, key)
        while sum(len(p) for n, p in tier if n != key) + len(pages) > self.capacities[level]:
            name, gone = tier.pop(0)
            assert name != key
            lower = [i for i in range(level + 1, len(self.tiers)) if self.at(i, name) >= gone]
            if lower:
                self.young(lower[0], name)
            else:
                self.put(level + 1, name, gone)
        if old:
            tier[:] = [entry for entry in tier if entry[0] != key]
        tier.append((key, set(pages)))

    def hits(self, prompt: list[Chunk], start: int, limit: int) -> list[int]:
        """The level of each page from ``start`` on, up to the first that is nowhere."""
        levels = []
        for chunk in prompt:
            best = max(range(len(self.tiers)), key=lambda i: (len(self.at(i, chunk.key)), -i))
            for page in range(max(chunk.first, start), min(chunk.end, limit)):
                if page - chunk.first not in self.at(best, chunk.key):
                    return levels
                levels.append(best)
        return levels


def prompt_of(rng: random.Random) -> list[Chunk]:
    """A prompt out of a small tree of prefixes; its chunks have lengths that their keys decide."""
    found, page, key = [], 0, 0
    for _ in range(rng.randrange(1, 5)):
        key = key * 3 + rng.randrange(1, 3)
        length = key % 4 + 1
        found.append(Chunk(key, page, page + length))
        page += length
    return found


@pytest.mark.parametrize("seed", range(30))
def test_hits_are_those_of_single_pages(seed: int) -> None:
    rng = random.Random(seed)
    # lower tiers hold all that can come down at once: what is pushed out before it has arrived is lost
    capacities = [rng.randrange(1, 25), *(rng.randrange(24, 40) for _ in range(rng.randrange(3)))]
    store = TierStore([Tier(str(i), pages, Lru()) for i, pages in enumerate(capacities)])
    model = PageModel(capacities)
    for _ in range(150):
        prompt = prompt_of(rng)
        start = rng.choice([0, 0, 1, 3])
        limit = rng.choice([1 << 60, prompt[-1].end - 1])
        found = store.find(as_chunks(prompt), start, limit)
        levels, page = [], start
        for part in found:
            levels += [part.level] * (part.end - page)
            page = part.end
        assert levels == model.hits(prompt, start, limit)
        if rng.random() < 0.5:
            for part in found:
                store.touch(part)
                for key in reversed(part.keys):
                    model.young(part.level, key)
        else:
            for chunk in reversed(prompt):
                store.put([chunk.key], [chunk.end - chunk.first])
                land(store)
                model.put(0, chunk.key, set(range(chunk.end - chunk.first)))
        contents = [[(key, len(pages)) for key, pages in tier] for tier in model.tiers]
        assert contents == [list(tier.policy.entries.items()) for tier in store.tiers]


def land(store: TierStore) -> list[Move]:
    moves = [move for _, _, move in store.take_moves()]
    for move in moves:
        store.landed(move)
    return moves


@pytest.mark.parametrize("name", EVICTIONS.names())
@pytest.mark.parametrize("seed", range(4))
def test_pages_are_conserved_and_limits_hold(name: str, seed: int) -> None:
    rng = random.Random(seed)
    tiers = [
        Tier(str(i), rng.randrange(2, 30), EVICTIONS.get(name)(), rng.choice([0, 3, 10]))
        for i in range(rng.choice([1, 2, 3]))
    ]
    store = TierStore(tiers)
    flying: list[Move] = []
    copied = {tier.name: 0 for tier in tiers}
    for _ in range(400):
        prompt = prompt_of(rng)
        action = rng.random()
        found = store.find(as_chunks(prompt), 0, 1 << 60)
        if action < 0.5:
            store.put([c.key for c in reversed(prompt)], [c.end - c.first for c in reversed(prompt)])
        elif action < 0.7:
            for part in found:
                store.touch(part)
        elif found and found[-1].level:
            store.raise_to_top(found[-1])
        for _, _, move in store.take_moves():
            flying.append(move)
            copied[move.target.name] += move.pages
        rng.shuffle(flying)
        for _ in range(rng.randrange(3)):
            if flying:
                store.landed(flying.pop())
        for tier in tiers:
            assert tier.used == sum(tier.policy.entries.values()) <= tier.capacity
            assert 0 <= tier.leaving <= tier.staging
            assert tier.stored == tier.used + tier.left + tier.dropped + tier.lost
    for move in flying:
        store.landed(move)
    for tier in tiers:
        assert tier.leaving == 0 and not tier.arriving
        assert tier.written == tier.stored == copied[tier.name]


@pytest.mark.parametrize("seed", range(10))
def test_chunks_are_those_of_the_page_pool(seed: int) -> None:
    rng = random.Random(seed)
    page, block = rng.choice([1, 4, 16]), rng.choice([3, 16, 40])
    pool = PagePool(400, page)
    ids = tuple(rng.randrange(5) for _ in range(rng.randrange(1, 8)))
    request = Request(0, 0, rng.randrange(1, 300), 1, prefix_ids=ids, prefix_block=block)
    pages = request.prompt_tokens // page
    pool.take(pages)
    request.pages = pages
    pool.register(request, request.prompt_tokens)
    found = chunks(request, page)
    held = []
    for copy, low, high in request.holds or ():
        node = copy.node
        base = node.place * block // page
        for number, key in enumerate(node.chains, node.place):
            first, end = (max(min(edge * block // page - base, high), low) for edge in (number, number + 1))
            held += [(key, end - first)] if end > first else []
    assert held == list(zip(found.keys, found.sizes(), strict=True))
    assert [found.first(i) + size for i, size in enumerate(found.sizes())] == found.ends


@pytest.mark.parametrize("name", ["lru", "fifo"])
@pytest.mark.parametrize("seed", range(6))
def test_runs_are_what_their_chunks_would_be_one_by_one(name: str, seed: int) -> None:
    """Two stores, one of which is never given more than a chunk at a time."""
    rng = random.Random(seed)
    shape = [(rng.randrange(8, 60), rng.choice([3, 20, 200])) for _ in range(rng.choice([1, 2, 3]))]
    pair = [
        TierStore([Tier(str(i), size, EVICTIONS.get(name)(), staging) for i, (size, staging) in enumerate(shape)])
        for _ in range(2)
    ]
    flying: list[tuple[Move, Move]] = []
    for _ in range(300):
        keys = rng.sample(range(60), rng.randrange(1, 12))
        pages = [key % 4 + 1 for key in keys]
        pair[0].put(keys, pages)
        for key, size in zip(keys, pages, strict=True):
            pair[1].put([key], [size])
        moves = [store.take_moves() for store in pair]
        assert [each[:2] for each in moves[0]] == [each[:2] for each in moves[1]]
        flying += [(one[2], other[2]) for one, other in zip(*moves, strict=True)]
        for one, other in flying:
            assert (one.keys, one.pages, one.owed) == (other.keys, other.pages, other.owed)
        while flying and rng.random() < 0.4:
            for store, move in zip(pair, flying.pop(rng.randrange(len(flying))), strict=True):
                store.landed(move)
        for one, other in zip(pair[0].tiers, pair[1].tiers, strict=True):
            assert list(one.policy.entries.items()) == list(other.policy.entries.items())
            for figure in ("used", "peak", "leaving", "stored", "left", "dropped", "lost"):
                assert getattr(one, figure) == getattr(other, figure), figure


def test_what_is_used_most_or_last_stays() -> None:
    """Five chunks of one page, room for four; the first is used twice, the second once, then all but it again."""
    wanted = {"lru": 3, "fifo": 1, "lfu": 3, "gdsf": 3, "s3fifo": 3}
    for name, victim in wanted.items():
        tier = Tier("t", 4, EVICTIONS.get(name)())
        store = TierStore([tier])
        store.put([1, 2, 3, 4], [1] * 4)
        for key in (1, 1, 2, 4):
            tier.policy.hit(key)
        store.put([5], [1])
        assert victim not in tier.policy.entries and len(tier.policy.entries) == 4, name


def test_gdsf_lets_the_large_go_first_and_ages() -> None:
    policy = EVICTIONS.get("gdsf")()
    policy.add(1, 100)
    policy.add(2, 1)
    assert policy.victim() == 1
    policy.remove(1)
    policy.hit(2)
    for key in range(3, 60):  # each new one starts from the score of the last that went
        policy.add(key, 1)
        gone = policy.victim()
        policy.remove(gone)
        if gone == 2:
            return
    raise AssertionError("what was used once, long ago, never goes")


def test_s3fifo_remembers_who_left() -> None:
    policy = EVICTIONS.get("s3fifo")()
    for key in range(10):
        policy.add(key, 1)
    first = policy.victim()
    policy.remove(first)
    policy.add(first, 1)  # it comes back: straight into the main queue
    for _ in range(8):
        policy.remove(policy.victim())
    assert first in policy.entries


def test_a_policy_of_one_key_is_under_a_hundred_bytes() -> None:
    import tracemalloc

    rng = random.Random(0)
    keys = [rng.getrandbits(61) for _ in range(100_000)]
    tracemalloc.start()
    tier = Tier("t", 1 << 30, Lru())
    for key in keys:
        tier.add(key + 1, 32)
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert used / len(keys) <= 100


def test_the_cheapest_of_loading_and_computing() -> None:
    cheapest = Parts("hwsim.serving.policies.miss").get("cheapest")
    rest = SimpleNamespace(seconds=[10.0, 6.0, 1.0])
    assert cheapest([1.0, 2.0], lambda count: rest.seconds[count]) == 2
    assert cheapest([1.0, 20.0], lambda count: rest.seconds[count]) == 1
    assert cheapest([11.0, 20.0], lambda count: rest.seconds[count]) == 0


def test_a_hit_counts_for_the_tier_where_it_lay_before_it_was_fetched_ahead() -> None:
    fast, slow = Tier("fast", 4, Lru()), Tier("slow", 50, Lru())
    store = TierStore([fast, slow])
    prompt = Chunks([1, 2], [2, 4])
    store.put([2, 1], [2, 2])
    store.put([3, 4], [2, 2])  # 1 and 2 are pushed out before they have arrived
    land(store)
    store.put([5, 6], [2, 2])
    land(store)
    (found,) = [part for part in store.find(Chunks([3], [2]), 0, 9) if part.level]
    store.fetch_ahead(found)
    land(store)
    (part,) = store.find(Chunks([3], [2]), 0, 9)
    assert part.level == 0
    store.count_hits(part, 1)
    assert (fast.hits, slow.hits) == (0, 1) and not store.ahead
    store.count_hits(part, 0)
    assert (fast.hits, slow.hits) == (2, 1)
    assert store.find(prompt, 0, 9) == []  # lost
