"""How much is read of what others wrote: refused by these bounds, and not by running out of memory.

Each is a number of mebibytes, and may be set by an environment variable, so that it holds for all processes of a job.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from scd_lightning.errors import ConfigError, ScdError


@dataclass(frozen=True)
class SizeLimit:
    """A bound that can be raised.

    Attributes:
        variable: The environment variable that sets it.
        default: Mebibytes where it is not set.
    """

    variable: str
    default: int

    @property
    def bytes(self) -> int:
        """The bound.

        Raises:
            ConfigError: The variable holds no number of mebibytes.
        """
        given = os.environ.get(self.variable, "").strip() or str(self.default)
        if not (given.isascii() and given.isdigit() and len(given) < _DIGITS and int(given) > 0):
            raise ConfigError(
                "A bound is no number of mebibytes", where=self.variable, got=given, expected="a whole number from 1 on"
            )
        return int(given) << 20

    def check(self, size: int, what: str, where: object, kind: type[ScdError]) -> None:
        """Refuses what is larger.

        Args:
            size: Bytes, as far as they are known.
            what: What is wrong where it is larger, for the message.
            where: The file, for the message.
            kind: The class of the error.

        Raises:
            ScdError: It is larger than the bound.
        """
        if size <= self.bytes:
            return
        raise kind(
            what,
            where=where,
            got=f"{_mebibytes(size):,} MiB or more",
            expected=f"at most {self.bytes >> 20:,} MiB",
            remedy="see whether it is what you meant to give; if so, and there is the memory for it, raise the bound "
            f"by the environment variable {self.variable}, in MiB",
        )

    def check_file(self, file: Path, what: str, kind: type[ScdError]) -> None:
        """Refuses a file that is larger, unread; one that is not there, or can't be looked at, is its reader's matter.

        Raises:
            ScdError: As `check`.
        """
        size = file.stat().st_size if file.is_file() else 0
        self.check(size, what, file, kind)


# Any sum of bytes that a computer has fits into fewer digits.
_DIGITS = 12
# A file of rows, unpacked.
DATA = SizeLimit("SCD_MAX_DATA_MIB", 2048)
# A text of a row. No model reads a hundredth of it.
TEXT = SizeLimit("SCD_MAX_TEXT_MIB", 16)
# Each file beside a model's weights, such as its tokenizer, and the head of a file of weights.
MODEL_FILE = SizeLimit("SCD_MAX_MODEL_FILE_MIB", 256)


def _mebibytes(size: int) -> int:
    """As many as hold so many bytes."""
    return -(-size >> 20)
