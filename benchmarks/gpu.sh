#!/usr/bin/env bash
# What only a GPU can show, in at most eight minutes and without a network: run.py on CUDA in float32 and under bfloat16,
# with stored and with live signals; steps and peak memory of a cut SmolLM2's shape and of a 1B -> 0.3B pair with random
# weights; how weights are reloaded. What fails is said, and the rest is measured. Results go where those of `make bench`
# go, and onto its page, under the card's name.
#
#   benchmarks/gpu.sh [FOLDER [OPTION...]]
#
# FOLDER has what the machine lacks, as benchmarks/gpu_folder.sh makes it: wheels, which are put beside what is there,
# and model.gguf. Options go to `python -m benchmarks`; `--device cpu --quick` tries all of it without a GPU.
set -uo pipefail
folder=${1:+$(realpath "$1")}
shift $(($# > 0))
cd "$(dirname "$0")/.." || exit
python=${PYTHON:-python3}

model=()
if [ -n "$folder" ]; then
    if compgen -G "$folder/*.whl" >/dev/null; then
        site=$(mktemp -d)
        trap 'rm -rf "$site"' EXIT
        "$python" -m pip install --quiet --no-index --no-deps --no-compile --target "$site" "$folder"/*.whl || exit
        export PYTHONPATH=$site${PYTHONPATH:+:$PYTHONPATH}
    fi
    if [ -f "$folder/model.gguf" ]; then
        model=(--model "$folder/model.gguf")
    fi
fi

failed=0
# Without a GPU it takes as long as it takes.
slower=1
[[ " $* " == *" cpu "* ]] && slower=20
# What takes the most time stands last, and each part has its share of the eight minutes: seconds, sections.
measure() {
    timeout $(($1 * slower)) "$python" -m benchmarks --device cuda --alone --keep-going "${model[@]}" --only "$2" "${@:3}"
    local code=$?
    if [ $code -ne 0 ]; then
        echo "$2: exit code $code" >&2
        failed=1
    fi
}
command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv
measure 170 pipeline "$@"
measure 40 reload "$@"
measure 250 steps "$@"
exit $failed
