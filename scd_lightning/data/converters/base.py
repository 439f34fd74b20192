"""What a converter is."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from typing_extensions import override

from scd_lightning.config.definitions import defined_as
from scd_lightning.data.rows import Row
from scd_lightning.errors import ConfigError


class Converter(ABC):
    """Makes rows as a data set has them rows as the task wants them; a row that is so already passes unchanged.

    Attributes:
        joins_rows: Whether a row that it makes may come of several; a bad one among those can't be left out alone.
        answers: The columns, as they were before, that it takes labels or answers from: where `on_bad_row=skip` would
            leave out every row with one of their values, the run ends.
    """

    joins_rows: ClassVar[bool] = True
    answers: tuple[str, ...] = ()

    def look(self, rows: Sequence[Row]) -> list[str]:
        """Looks at the rows of all splits before the first is converted, and says what form it recognised, if it did.

        Raises:
            DataError: All of them together are in no form that it can convert.
        """
        return []

    @abstractmethod
    def __call__(self, rows: Sequence[Row], lost: Counter[str]) -> list[Row]:
        """Converts one split.

        Args:
            rows: Its rows.
            lost: Counts here, under its name, what could not be carried over.

        Raises:
            DataError: A row can't be converted; names its file and line.
        """


class RowConverter(Converter):
    """A converter that looks at one row at a time and loses nothing."""

    joins_rows = False

    @override
    def __call__(self, rows: Sequence[Row], lost: Counter[str]) -> list[Row]:
        return [self.convert(row) for row in rows]

    @abstractmethod
    def convert(self, row: Row) -> Row:
        """Converts a row.

        Raises:
            DataError: It can't be converted; names its file and line.
        """


def check_converters(converters: Sequence[object]) -> None:
    """Raises a ConfigError where one of task.data.converters is no converter."""
    for place, converter in enumerate(converters):
        if not isinstance(converter, Converter):
            raise ConfigError(
                "What converts the data's rows is no converter",
                where=f"task.data.converters[{place}]",
                got=defined_as(converter),
                expected="an object of a class of Converter's or RowConverter's (scd_lightning.data.converters)",
            )


def convert(converter: Converter, rows: Sequence[Row], lost: Counter[str]) -> list[Row]:
    """What a converter makes of rows.

    Raises:
        ConfigError: It is no list of rows.
        DataError: As the converter's own call.
    """
    made: object = converter(rows, lost)
    wrong = [each for each in made if not isinstance(each, Row)] if isinstance(made, list) else []
    if isinstance(made, list) and not wrong:
        return made
    raise ConfigError(
        "A converter returns no list of rows",
        where=f"task.data.converters, {defined_as(converter)}",
        got=f"{type(made).__name__}{f' with a {type(wrong[0]).__name__} in it' if wrong else ''}",
        expected="a list of scd_lightning.data.rows.Row, as with_values(row, ...) makes one",
    )


def with_values(row: Row, drop: Sequence[str] = (), **values: Any) -> Row:
    """The row with other values: some columns left out, then some set."""
    kept = {name: value for name, value in row.values.items() if name not in drop}
    return replace(row, values=kept | values)
