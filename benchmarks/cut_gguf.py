"""A GGUF file with some of its layers, for machines that a whole model is too large to bring to.

    python -m benchmarks.cut_gguf whole.gguf cut.gguf --layers 12

Blocks that are 4 bits a weight stay as they are; wider ones, of embeddings as a rule, become so.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter, ReaderTensor
from gguf.quants import dequantize, quantize

from scd_lightning.models.thinning import layer_indices

_LAYER = re.compile(r"blk\.(\d+)\.")
_FOUR_BITS = GGMLQuantizationType.Q4_1


def cut(source: Path, target: Path, layers: int) -> int:
    """Writes a file with as many layers, evenly spread over the source's.

    Args:
        source: A GGUF file.
        target: The file to write.
        layers: How many of its layers are kept.

    Returns:
        Parameters of what was written.

    Raises:
        ConfigError: It has fewer layers.
    """
    reader = GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    counted = f"{architecture}.block_count"
    kept = layer_indices(layers, reader.fields[counted].contents(), "source")
    writer = GGUFWriter(target, architecture)
    for name, field in reader.fields.items():
        # The writer has these by itself.
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        value = layers if name == counted else field.contents()
        writer.add_key_value(name, value, *_types(field.types))
    parameters = 0
    for tensor in reader.tensors:
        found = _LAYER.match(tensor.name)
        if found and int(found[1]) not in kept:
            continue
        name = _LAYER.sub(lambda layer: f"blk.{kept.index(int(layer[1]))}.", tensor.name)
        data, kind = _four_bits(tensor)
        writer.add_tensor(name, data, raw_dtype=kind)
        parameters += int(tensor.n_elements)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return parameters


def _types(types: Sequence[GGUFValueType]) -> tuple[GGUFValueType, GGUFValueType | None]:
    """A value's type; and its elements', where it is an array."""
    return types[0], types[-1] if len(types) > 1 else None


def _four_bits(tensor: ReaderTensor) -> tuple[Any, GGMLQuantizationType]:
    kind = tensor.tensor_type
    if kind == _FOUR_BITS or len(tensor.shape) < 2:
        return tensor.data, kind
    return quantize(dequantize(tensor.data, kind), _FOUR_BITS), _FOUR_BITS


def main(arguments: list[str]) -> int:
    """Cuts a file and says what came of it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cut_gguf", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--layers", type=int, required=True)
    options = parser.parse_args(arguments)
    parameters = cut(options.source, options.target, options.layers)
    print(f"{options.target}: {parameters / 1e6:.0f}M parameters, {options.target.stat().st_size / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
