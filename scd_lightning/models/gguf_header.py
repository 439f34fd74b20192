"""The head of a GGUF file, gone over before it is read: the reader goes by the counts in it, be they ever so wrong."""

import mmap
import struct
from pathlib import Path

from scd_lightning.config.size_limits import MODEL_FILE
from scd_lightning.errors import ModelError

# Bytes of the values of each type, by its number.
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY = 8, 9
_PARTS = (b".block_count", b".expert_count")
# More layers or experts than any model has, and few enough that a model of so many is refused in time.
MOST_PARTS = 10_000


def check_header(file: Path) -> None:
    """Raises an error of Python's where a count, a length or a type in a GGUF file's head can't be right.

    Raises:
        ModelError: The head is larger than is read.
    """
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        walk = _Walk(content, MODEL_FILE.bytes)
        try:
            walk.check()
        finally:
            MODEL_FILE.check(walk.place, "The head of the GGUF file is larger than is read", file, ModelError)


class _Walk:
    """A place in the file that moves on; each step takes some bytes, so that no count leads past the file's end."""

    def __init__(self, content: mmap.mmap, most: int) -> None:
        self.content, self.place, self.most = content, len(b"GGUF"), most
        # As the reader tells the order of bytes.
        self.order = "<" if struct.unpack_from("<I", content, self.place)[0] & 0xFFFF else ">"

    def check(self) -> None:
        self.number("I")
        tensors, values = self.number("Q"), self.number("Q")
        for _ in range(values):
            name, kind = self.string(), self.number("I")
            begins = self.place
            self.value(kind)
            parts = int.from_bytes(self.content[begins : self.place], "little" if self.order == "<" else "big")
            if name.endswith(_PARTS) and parts > MOST_PARTS:
                raise ValueError(f"its {name.decode()} is {parts}, and no model has more than {MOST_PARTS}")
        for _ in range(tensors):
            self.string()
            self.skip(8 * self.number("I"))
            self.skip(4 + 8)  # its type, and where it begins

    def number(self, form: str) -> int:
        (number,) = struct.unpack_from(self.order + form, self.content, self.place)
        self.skip(struct.calcsize(self.order + form))
        return int(number)

    def skip(self, count: int) -> None:
        if self.place + count > len(self.content):
            raise ValueError(f"its head speaks of {self.place + count} bytes, and the file has {len(self.content)}")
        self.place += count
        if self.place > self.most:
            raise ValueError("its head is too large")

    def string(self) -> bytes:
        length = self.number("Q")
        self.skip(length)
        return self.content[self.place - length : self.place]

    def value(self, kind: int) -> None:
        if kind == _STRING:
            self.string()
        elif kind == _ARRAY:
            of, count = self.number("I"), self.number("Q")
            if of in _SIZES:
                self.skip(count * _SIZES[of])
            else:
                for _ in range(count):
                    self.value(of)
        elif kind in _SIZES:
            self.skip(_SIZES[kind])
        else:
            raise ValueError(f"its head has a value of an unknown type {kind}")
