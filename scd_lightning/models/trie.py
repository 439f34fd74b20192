"""Candidate answers as a tree of token ids: what several of them begin with stands there once."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby

Ids = tuple[int, ...]


class Node:
    """Tokens that some candidates begin with; a chain without a choice is one node.

    Args:
        path: Their ids, from a candidate's first one on.
        start: How many of them the parent has already.
        candidate: Position of the candidate that ends here, the first one of equal ones; None where none does.
        children: What follows, each by another token first.

    Attributes:
        asks: What a model must be asked to know what the node's end is worth, and what its children's first tokens
            are: (tokens of a candidate that were read, token that follows), in the order of the path, then of
            the children.
        reads: The tokens that have to be read for that.
        chain: How many candidates there are at most that begin with one another, from here on.
    """

    def __init__(self, path: Ids, start: int, candidate: int | None, children: Sequence["Node"]) -> None:
        self.path, self.start, self.candidate, self.children = path, start, candidate, children
        # The parent was asked for the first of its own tokens.
        self.asks = [(i, path[i]) for i in range(start + 1, len(path))]
        self.asks += [(len(path), child.path[len(path)]) for child in children]
        self.reads = path[: self.asks[-1][0]] if self.asks else ()
        self.chain: int = int(candidate is not None) + max((child.chain for child in children), default=0)

    def along(self, tokens: Sequence[int]) -> list["Node"]:
        """This node and those below it, one under the other, whose paths begin a sequence of tokens."""
        found, known = [self], tuple(tokens)
        while below := [child for child in found[-1].children if known[: len(child.path)] == child.path]:
            found += below
        return found


@lru_cache(maxsize=64)
def tree(candidates: tuple[Ids, ...]) -> Node:
    """The root over candidates, none of them empty. A data set's one list of labels is made a tree once."""
    positions = {ids: len(candidates) - 1 - i for i, ids in enumerate(reversed(candidates))}
    return Node((), 0, None, _children(sorted(positions), positions, 0))


def _children(ordered: Sequence[Ids], positions: dict[Ids, int], start: int) -> list[Node]:
    return [_node(list(group), positions, start) for _, group in groupby(ordered, key=lambda ids: ids[start])]


def _node(ordered: Sequence[Ids], positions: dict[Ids, int], start: int) -> Node:
    """The node of candidates that have more than `start` tokens in common."""
    first, last = ordered[0], ordered[-1]
    # In their order, what the first and the last have in common all have.
    end = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    path = first[:end]
    below = [ids for ids in ordered if len(ids) > end]
    return Node(path, start, positions.get(path), _children(below, positions, end))
