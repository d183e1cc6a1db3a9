"""One request as an engine sees it: known lengths, the hidden true output length, and its state."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwsim.serving.batch import DecodeRows
    from hwsim.serving.kv.runs import Copy, Node


class Request:
    """A request and the state that its one owner, the engine it was submitted to, keeps for it.

    ``output_tokens`` is the true length and hidden from every policy; ``max_tokens`` is what the client asked for.
    ``ends_by_eos`` says that the request stops before its limit, which an asynchronous scheduler learns one step
    late.  ``prefix_ids`` name the prompt's leading blocks of ``prefix_block`` tokens: equal id, equal prefix.
    Times are integers: ``arrival``, ``visible`` and ``after`` in picoseconds, the engine's own stamps in subticks of
    its alone time.
    """

    __slots__ = (
        "after",
        "answer_ids",
        "arrival",
        "arrival_alone",
        "cached_tokens",
        "chains",
        "computed",
        "emitted",
        "ends_by_eos",
        "finish",
        "finish_beat",
        "first_token",
        "holds",
        "index",
        "join_beat",
        "keeps_kv",
        "known",
        "last_token",
        "load_order",
        "load_tokens",
        "max_tokens",
        "offset",
        "output_tokens",
        "pages",
        "preemptions",
        "prefilled",
        "prefix_block",
        "prefix_ids",
        "priority",
        "private",
        "prompt_tokens",
        "reason",
        "registered",
        "remote_tokens",
        "request_id",
        "rows",
        "scheduled",
        "sequence",
        "status",
        "visible",
        "was_computed",
    )

    def __init__(
        self,
        index: int,
        arrival: int,
        prompt_tokens: int,
        output_tokens: int,
        max_tokens: int | None = None,
        ends_by_eos: bool = False,
        priority: int = 0,
        prefix_ids: tuple[int, ...] | None = None,
        prefix_block: int = 0,
        request_id: str | None = None,
    ) -> None:
        self.index = index
        self.request_id = request_id
        self.arrival = arrival
        self.visible = arrival  # when the scheduler sees it: an API server may come first
        self.after = 0  # what its tokens take from the engine to the client
        self.arrival_alone = 0
        self.prompt_tokens = prompt_tokens
        self.output_tokens = output_tokens
        self.max_tokens = output_tokens if max_tokens is None else max_tokens
        self.ends_by_eos = ends_by_eos
        self.priority = priority
        self.prefix_ids = prefix_ids
        self.prefix_block = prefix_block
        self.chains: list[int] | None = (
            None  # of the prefix ids, once somebody has asked (:mod:`hwsim.serving.kv.chunks`)
        )
        self.answer_ids: tuple[int, ...] | None = (
            None  # names of the prompt's and the answer's blocks, for the next turn
        )
        self.known = prompt_tokens  # tokens that exist: prompt plus outputs delivered before the last admission
        self.computed = 0  # tokens whose KV is computed (or being computed); decode rows use offset + beat instead
        self.emitted = 0  # outputs delivered when the request last joined the decode rows
        self.rows: DecodeRows | None = None  # the batch whose row it is, or last was
        self.offset = 0
        self.join_beat = -1
        self.finish_beat = -1  # the first beat at which the request is no longer a decode row
        self.sequence = 0  # place in the running list: order of admission
        self.pages = 0
        self.registered = 0  # leading pages that other requests can hit
        self.holds: list[list] | None = None  # [copy, low page, high page] of the registered pages
        self.private: Node | None = None  # what survives of the unshared pages after a pre-emption
        self.remote_tokens = 0  # leading tokens of the prompt whose KV another place holds and will send
        self.load_tokens = 0  # how many of them are being, or were, loaded
        self.load_order = 0
        self.prefilled = False  # the first output comes along with the KV
        self.keeps_kv = False  # its pages stay held when it ends, until they are released
        self.cached_tokens = -1
        self.preemptions = 0
        self.was_computed = 0
        self.scheduled: int | None = None
        self.first_token: int | None = None
        self.last_token = 0
        self.finish: int | None = None
        self.status = "waiting"
        self.reason = ""

    def __repr__(self) -> str:
        return f"Request({self.request_id or self.index}, {self.prompt_tokens}+{self.output_tokens}, {self.status})"


def hold(copy: Copy, low: int, high: int) -> list:
    """What a request keeps of one copy: its pages ``low <= page < high`` (a list, since it grows by chunks)."""
    return [copy, low, high]
