"""The ledger of faults: what was tried, how often it was survived and what it cost, a table at the end of the tests."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

NOTHING = "nothing"


@dataclass
class Attempt:
    """One try at a fault; the test says what was lost."""

    lost: str = NOTHING
    steps: int | None = None


@dataclass
class Row:
    """All tries at one fault."""

    tries: int = 0
    survived: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    steps: int | None = None

    @property
    def losses(self) -> str:
        """What was lost, in words: texts that differ with how often, and the worst count of repeated steps."""
        several = len(self.lost) > 1
        texts = [f"{text} ({count} x)" if several else text for text, count in self.lost.most_common()]
        if self.steps is not None:
            texts = [text for text in texts if text != NOTHING] + [f"at most {self.steps} steps repeated"]
        return "; ".join(texts)


class Ledger:
    """Counts tries by the name of the fault, for all tests of a session."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}

    def record(self, fault: str, survived: bool, lost: str = NOTHING, steps: int | None = None) -> None:
        """Notes one try.

        Args:
            fault: Its name, the same for all tries that belong in one line.
            survived: Whether all was as if it had not happened, or ended in the error that it should.
            lost: What it cost, in a few words.
            steps: Optimizer steps that were repeated; the table shows the most.
        """
        row = self.rows.setdefault(fault, Row())
        row.tries += 1
        row.survived += survived
        row.lost[lost] += 1
        if steps is not None:
            row.steps = max(steps, row.steps or 0)

    @contextmanager
    def attempt(self, fault: str) -> Iterator[Attempt]:
        """Notes one try, as survived unless the block raises."""
        attempt = Attempt()
        try:
            yield attempt
        except BaseException:
            self.record(fault, False, "see the failed test")
            raise
        self.record(fault, True, attempt.lost, attempt.steps)

    def table(self) -> list[str]:
        """Lines of text, faults in the order of their first try."""
        heads = ("fault", "tries", "survived", "what was lost")
        rows = [(name, str(row.tries), str(row.survived), row.losses) for name, row in self.rows.items()]
        widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
        return [
            f"{fault:<{widths[0]}}  {tries:>{widths[1]}}  {survived:>{widths[2]}}  {lost}".rstrip()
            for fault, tries, survived, lost in [heads, *rows]
        ]


_ledger = Ledger()


@pytest.fixture(scope="session")
def ledger() -> Ledger:
    """The session's ledger."""
    return _ledger


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the table."""
    if _ledger.rows:
        terminalreporter.section("Faults")
        terminalreporter.write_line("\n".join(_ledger.table()))
