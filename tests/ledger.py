"""The ledger of faults: what was tried, how often it was survived and what it cost, a table at the end of the tests."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

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

    def add(self, tries: int, survived: int, lost: dict[str, int], steps: int | None) -> None:
        """Counts more tries in."""
        self.tries += tries
        self.survived += survived
        self.lost.update(lost)
        if steps is not None:
            self.steps = max(steps, self.steps or 0)

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
        self.rows.setdefault(fault, Row()).add(1, survived, {lost: 1}, steps)

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

    def sent(self) -> dict[str, dict[str, Any]]:
        """All rows as plain values, which may travel between processes."""
        return {fault: vars(row) | {"lost": dict(row.lost)} for fault, row in self.rows.items()}

    def receive(self, sent: dict[str, dict[str, Any]]) -> None:
        """Adds the rows of another process's ledger, as it sent them."""
        for fault, row in sent.items():
            self.rows.setdefault(fault, Row()).add(**row)

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
# Its rows among what a worker sends at its end.
_SENT = "ledger"


@pytest.fixture(scope="session")
def ledger() -> Ledger:
    """The session's ledger."""
    return _ledger


def pytest_sessionfinish(session: Any) -> None:
    """Sends a worker's tries to the process that prints the table, where tests are spread over workers."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_SENT] = _ledger.sent()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Receives what a worker has sent; one that died has sent nothing."""
    _ledger.receive(getattr(node, "workeroutput", {}).get(_SENT, {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the table."""
    if _ledger.rows:
        terminalreporter.section("Faults")
        terminalreporter.write_line("\n".join(_ledger.table()))
