"""Without end, files of a kind that nobody should have to read, by a seed: damaged, absurd, or made to do harm."""

import io
import json
import pickle
import random
import struct
import zipfile
from collections.abc import Callable, Iterator
from itertools import chain

import torch
from safetensors.torch import save

from tests.models.hostile import no_json, other_values, spoilt

DEEP = 100_000


class _Call:
    """Pickled, a call of whatever it is told."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


def damaged(content: bytes, seed: int) -> Iterator[bytes]:
    """A file of any kind: first all that is done to it once, then other bytes of it changed, for ever."""
    yield from _shuffled(spoilt(content, 4, seed), seed)
    while True:
        seed += 1
        yield from spoilt(content, 2, seed)


def of_json(content: bytes, seed: int) -> Iterator[bytes]:
    """A file of JSON: first other files, then other values in it, for ever."""
    yield from _shuffled((*no_json(content), b"[" * DEEP, b'{"a":[' * DEEP, b"{" + b" " * DEEP), seed)
    while True:
        seed += 1
        yield from (changed for _, changed in other_values(content, 8, seed))


def of_gguf(content: bytes, seed: int) -> Iterator[bytes]:
    """Counts and lengths of a GGUF file's head, and damage."""
    drawn, harm = random.Random(seed), damaged(content, seed)
    while True:
        yield next(harm)
        at, count = drawn.choice((8, 16, 24)), drawn.choice((2**20, 2**31, 2**40, 2**62, 2**63, 2**64 - 1))
        yield content[:at] + struct.pack("<Q", count) + content[at + 8 :]


def of_safetensors(content: bytes, seed: int) -> Iterator[bytes]:
    """Heads that say something else than there is, and damage."""
    (length,) = struct.unpack("<Q", content[:8])
    head, rest = content[8 : 8 + length].rstrip(), content[8 + length :]
    deep = (b"[" * DEEP, b'{"a":' * DEEP, b'{"a":{"dtype":"F32","shape":' + b"[" * DEEP)
    yield from (struct.pack("<Q", len(each)) + each + rest for each in deep)
    yield from (struct.pack("<Q", count) + content[8:] for count in (0, 1, length + 1, 2**31, 2**40, 2**64 - 1))
    for changed in of_json(head, seed):
        yield struct.pack("<Q", len(changed)) + changed + rest


def of_pickles(content: bytes, seed: int) -> Iterator[bytes]:
    """Pickles that call something, claim to be large, or hold something else than tensors, and damage."""
    values = (None, 3, [1], "x", {"state_dict": 3}, {"state_dict": None}, {1: 2}, float("nan"))
    calls = (_Call(print, "harm"), _Call(eval, "1"), _Call(bytearray, 2**40), _Call(open, "harm", "w"))
    yield from (pickle.dumps(each, protocol) for each in (*values, *calls) for protocol in (0, 2, 4))
    yield from (b"\x80\x02" + b"]" * DEEP + b".", b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b".")
    yield _archive({"state_dict": {"a": torch.ones(1).expand(2**40)}})
    yield _archive({"state_dict": {"a": _Call(print, "harm")}})
    yield _packed(content)
    yield from damaged(content, seed)


def of_templates(content: bytes, seed: int) -> Iterator[bytes]:
    """Programs in place of a template: that do not end, take all there is, look around, or are none."""
    drawn = random.Random(seed)
    text = content.decode()
    while True:
        count, name = drawn.choice((10**7, 10**9, 10**12)), drawn.choice("abcdef") * 3
        programs = (
            f"{{% set {name} = 'x' * {count} %}}{{{{ {name} * 9 }}}}{text}",
            f"{{{{ range({count}) | list | length }}}}{text}",
            f"{{{{ 9 ** (9 ** 9) + {count} }}}}{text}{name}",
            f"{{% macro {name}() %}}{{{{ {name}() }}}}{{% endmacro %}}{{{{ {name}() }}}}{text}",
            f"{{% include '/etc/{name}' %}}{text}",
            f"{{% import '{name}' as x %}}{text}",
            f"{{{{ {name}.b.c }}}}{text}",
            f"{{{{ ''.__class__.__mro__[{count}] }}}}{text}",
            f"{{{{ messages.append.__self__.__class__.{name}() }}}}{text}",
            f"{{{{ raise_exception('{name}') }}}}",
            f"{{{{ {'(' * DEEP}1{')' * DEEP} }}}}{text}",
            f"{{{{ {'-' * DEEP}1 }}}}{text}",
            f"{{% if true %}}{{% for {name} in messages %}}{text}",
            f"{{{{ 1 / 0 }}}}{text}{name}",
            f"{{{{ messages[{count}].content }}}}{name}",
            f"the text is left out {name}",
            f"{{{{ messages[0].items }}}}{text}{name}",
            f"{{{{ [1, 2, 3] | random }}}}{text}{name}",
            f"{{{{ {name} | {name} }}}}{text}",
            f"{{{{ '%{count}d' % 1 }}}}{text}",
            f"{{{{ 'x'.center({count}) }}}}{text}",
        )
        yield from (program.encode() for program in drawn.sample(programs, 7))
        yield drawn.choice((b"\xff\xfe", b"\x80", b"{{ '\xed\xa0\x80' }}")) + drawn.randbytes(3) + b"\xff"


def of_index(content: bytes, seed: int) -> Iterator[bytes]:
    """Indices of shards that are not there, are elsewhere, or are something else."""
    drawn = random.Random(seed)
    names = ("/etc/passwd", "../model.bin", ".", "", "a\0b", "x" * 300, "pytorch_model.bin", "config.json", "\ud800")
    whole = json.loads(content)
    for name in drawn.sample(names, len(names)):
        tensor = drawn.choice([*whole["weight_map"]])
        yield json.dumps({"weight_map": whole["weight_map"] | {tensor: name}}).encode()
    yield json.dumps({"weight_map": {str(n): f"{n}.safetensors" for n in range(DEEP)}}).encode()
    yield from of_json(content, seed)


def small_tensors() -> bytes:
    """A file of two tensors."""
    return save({"a": torch.ones(4, 4), "b": torch.zeros(3, dtype=torch.bfloat16)})


def small_pickle() -> bytes:
    """A Lightning checkpoint of one tensor."""
    return _archive({"state_dict": {"a": torch.ones(3)}, "global_step": 3})


def _archive(value: object) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def _packed(content: bytes) -> bytes:
    """The same archive, its data replaced by a hundred MiB of zeros, packed."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for each in old.namelist():
            new.writestr(each, bytes(100 << 20) if each.endswith("data/0") else old.read(each))
    return stream.getvalue()


def _shuffled(contents: Iterator[bytes] | tuple[bytes, ...], seed: int) -> Iterator[bytes]:
    found = list(chain(contents))
    random.Random(seed).shuffle(found)
    yield from found
