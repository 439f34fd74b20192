"""Best-first search in a tree of candidates; what a model says of tokens is asked for and told from outside."""

import math
from collections.abc import Sequence

from scd_lightning.models.trie import Node

# Nats. Scores that are no further apart are equal: rounding, which depends on what else is in a batch, decides nothing.
TIE = 1e-4
# How far a probability may be off.
SURE = 1e-3


class Search:
    """One sample's search. A node is open until a model was asked what it asks for.

    A node's bound is the log-probability of its path up to the first token that is its own: no candidate below is
    worth more. Open nodes are taken best first, until none can hold a candidate that is as good as the best one known.

    Args:
        root: The tree of the sample's candidates.
        probabilities: Whether all candidates' probabilities are wanted, to +- SURE, or the best one alone.

    Attributes:
        open: Open nodes and their bounds.
        scores: Position of a candidate -> log-probability of its tokens; of equal candidates, of the first.
        best: The highest score known.
    """

    def __init__(self, root: Node, probabilities: bool = False) -> None:
        self.root, self.probabilities = root, probabilities
        self.open: dict[Node, float] = {root: 0.0}
        self.scores: dict[int, float] = {}
        self.best = -math.inf
        self._width = 1

    def take(self, node: Node, log_probs: Sequence[float]) -> None:
        """Takes the answers to what an open node asks."""
        inner = len(log_probs) - len(node.children)
        score = self.open.pop(node) + sum(log_probs[:inner])
        if node.candidate is not None:
            self.scores[node.candidate] = score
            self.best = max(self.best, score)
        for child, log_prob in zip(node.children, log_probs[inner:], strict=True):
            self.open[child] = score + log_prob
            if not child.asks:  # a candidate's last token
                self.take(child, [])

    def next(self) -> list[Node]:
        """The open nodes to ask for together, best first; none where the search is over.

        The first candidate is gone for straight. From there on each call gives up to twice as many as the one before,
        so that a model that hardly prefers anything is not asked for one node after the other.
        """
        ordered = sorted(self.open, key=self.open.__getitem__, reverse=True)
        count = min(self._width, sum(bound >= self.best - TIE for bound in self.open.values()))
        if self.scores:
            self._width *= 2
        return ordered[: max(count, self._wanted(ordered) if self.probabilities else 0)]

    def _wanted(self, ordered: Sequence[Node]) -> int:
        """How many of the open nodes have to be asked for so that all others may be left out."""
        top = max([self.best, *self.open.values()])
        known = sum(math.exp(score - top) for score in self.scores.values())
        masses = [node.chain * math.exp(self.open[node] - top) for node in ordered]
        left, allowed = 0.0, SURE * (known + sum(masses))
        for count in range(len(ordered), 0, -1):
            left += masses[count - 1]
            if not left <= allowed:
                return count
        return 0

    @property
    def answer(self) -> int:
        """Position of the best candidate known, the lowest one of those that are equal to it."""
        return min(position for position, score in self.scores.items() if score >= self.best - TIE)

    def shares(self) -> dict[int, float]:
        """The probability of each known candidate among all; of the others none is above SURE."""
        masses = {position: math.exp(score - self.best) for position, score in self.scores.items()}
        total = sum(masses.values())
        return {position: mass / total for position, mass in masses.items()}
