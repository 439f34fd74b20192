"""docs/performance.md, from the files of results; `python -m benchmarks.page` makes it anew without measuring."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import tables
from benchmarks.settings import ROOT, SECTIONS
from benchmarks.targets import targets

RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "performance.md"
Sections = Mapping[str, Mapping[str, Any]]

_INTRODUCTION = """\
# Performance

What distillation costs here, beside fine-tuning the student alone, beside the work that can't be left out, and beside
two other frameworks: TRL's GKDTrainer and NVIDIA ModelOpt's KDTrainer. Made by

    make bench

and a part of it by `make bench BENCH="--only steps"`. Every number below is computed from the files in
benchmarks/results; none is typed by hand.

How to read it:

- Look at ratios, not at seconds: all of a ratio's parts come from one machine and one sitting. Steps on a CPU:
  contenders take turns, one step each, so that whatever else the machine does falls on all of them. Steps on a GPU,
  whose memory they would have to share: one contender after the other. Whole runs: one after the other, each in a
  process of its own, once or as often as is said below their table; the parts of a run's floor are measured right
  after it, in the same process.
- `bare` is a loop of PyTorch around the student, `sft` our fine-tuning. `cached` distils from stored teacher signals,
  `live` runs the teacher for every batch; it also asks it for each sample's loss, which adaptive weights need and
  `cached` has stored: a second product with the teacher's head. All start from the same weights, see the same token
  ids in the same order, and use the same optimizer; the distilling ones compute the same loss, which "losses apart"
  holds them to.
- The other frameworks are as they come. ModelOpt's fused loss of Liger, which needs a GPU, is off; TRL's GKDTrainer has
  none. TRL has another trainer, DistillationTrainer, whose loss goes in chunks as ours does; it learns from answers
  that the student generates, which is other work, and is not measured. The key-value cache that they have the teacher
  fill is theirs too.
- The *floor* of a cached step is what it can't do without: our fine-tuning step, the teacher's head on the completion
  tokens, and one pass over completion tokens x vocabulary for the divergence; the last two are measured alone. The
  floor of a whole run is that times its steps, one teacher forward pass for each distinct checkpoint used, and the
  probes: each checkpoint's pass over the probe set, the student's at each stage, and the products that the divergences
  between the two can't do without, or, where "without divergences" is said, not these products.
- The floor is a yardstick, no lower bound: its pass reads two float32 tensors from main memory and writes one, while
  our own passes go piece by piece and stay in the cache. So a ratio to it may fall below 1.
- A whole run of ours is the pipeline's own distillation with nothing stored yet: reading and verifying checkpoints,
  building both models, probing, signals, steps, validation on 8 samples after each epoch and keeping the best weights
  all count. Of the other frameworks only `train()` counts, over as many epochs, with one teacher and no validation.
- Peak memory is the process's (of a GPU: of its tensors), libraries and all, so that ratios of it understate.
"""

_OF_TARGETS = (
    "Ratios, where no unit is named. Where a number has several cases, the worst one is told, in brackets. The targets "
    "are set for a CPU's cases; most of them don't apply to a GPU's."
)
_TITLES = {
    "pipeline": "The whole pipeline",
    "steps": "One optimizer step",
    "runs": "Whole runs",
    "growth": "How the cost of a run grows",
    "reload": "Reloading a checkpoint",
    "startup": "When there is nothing to do",
    "processes": "Two processes on the CPU",
    "saving": "Saving the state of a training",
    "texts": "Texts without labels",
    "gold": "Gold answers held against themselves",
    "candidates": "Choosing among candidates",
    "predicting": "Asking an exported student",
    "serving": "Serving a student",
}
_NOTES = {
    "pipeline": "Commands of run.py on a few embedded rows, each a process of its own. One with `live` finds teacher "
    "and anchor in the store. Losses are those of test samples, the largest difference by any of the models. Seconds "
    "of phases are what they took, start-up apart; memory is the GPU's where there is one.",
    "steps": "Seconds are medians; columns with a slash are ratios of those, or of peak memory. `of GEMM` is how fast "
    "the operations that have to be done are done, beside the machine's own product of two large matrices; prompts' "
    "logits are none of those. What is called `alone` are the floor's parts, and that product.",
    "runs": "`td` is taught by one checkpoint, `cd` by each of four, `scd_aw` by those that its schedule picks; four "
    "stages of two epochs, and the loss that these methods have, cross-entropy included.",
    "growth": "`scd_aw` by a small pair of models: N checkpoints, T epochs in each of the stages, S training samples, "
    "V words of the vocabulary.",
    "reload": "Files in the page cache. `copy_` is torch's, of the same tensors; `memcpy` of one block as large. The "
    "first load also checks the file's digest.",
    "startup": "The data are those of `python run.py`, 600, 200 and 600 samples, which are read and tokenized even "
    "then. The overrides shorten the training alone, which was done before and is not counted. What is "
    "refused names something wrong. The import of the libraries alone is there for comparison.",
    "processes": "Fine-tuning `teacher=scratch` (`tiny`), and one of width 384 (`wide`), 16 samples a step, by whole "
    "commands in turns; medians of the rounds' medians. A second counts from one step's end to the next one's.",
    "saving": "A teacher's fine-tuning with the settings as they come: a state every 10 minutes, and at the ends of "
    "epochs where that takes less than 2 % of the time.",
    "texts": "A step of `cached` on the same token ids, once as rows with labels and once as texts without, in "
    "turns. And the phase `answer` with `unlabelled.keep=all`, by a teacher that was fine-tuned on embedded rows, "
    "beside loops that generate and do nothing else, in the same batches of texts of like lengths: transformers' "
    "`generate`, and our own decoding, which gives the answer's probability as well. What the phase does besides is "
    "loading the teacher, keeping each batch in case it is killed, and judging; that it answers the validation "
    "split, too, is counted apart. Phase and loops take turns in one process. "
    "Where the least and the most seconds are far apart, the machine had other work; CPU-seconds know less of that.",
    "gold": "Every gold answer decoded from its token ids and judged as a model's answer would be, beside making the "
    "token ids of the same rows, in turns; reading the rows is not counted. The store keeps what is found: equal data "
    "are checked once.",
    "candidates": "Losses and answers of a tuned model on a test split, as an evaluation has them: prompt and gold "
    "answer in one pass, then a best-first search in the tree of the candidates' tokens. Beside it, losses in a pass "
    "of their own and every candidate scored on the prompt's key-value cache. Ways take turns in one process. A token "
    "is a place that goes through the model, padding included.",
    "predicting": "The test split of embedded data, answered by the evaluation of a run, which scores the gold answers "
    "too and has made its token ids before, as `encode`, and by its student as `scd predict` asks it; probabilities of "
    "all candidates and of each line included. An evaluation knows how long gold answers are, by which it orders rows, "
    "and has read them with the prompts, where they are often what the model chooses. Ways take turns in one process, "
    "on one thread; loading is not counted.",
    "serving": "`scd serve` as a process of its own, on loopback; clients that keep their connections and ask one "
    "request after the other share the machine with it. Times are from a request's first byte to its answer's last. "
    "Ways take turns. `no batches` is `--batch 1`. Lost is a request that was sent and got no answer; what is not "
    "accepted any more is not counted. The student is the small one of the embedded data, fine-tuned alone: of larger "
    "ones the model takes more, and HTTP less.",
}
_NO_GPU = """\
## Not measured

No GPU was at hand. `benchmarks/gpu.sh` measures one in at most eight minutes and without a network: `run.py` in both
precisions, with stored and live signals; steps with SmolLM2's shape and of 1B to 0.3B with random weights, in bfloat16;
how weights are reloaded. Its results stand here under the card's name. `python -m benchmarks --device cuda` measures
the other sections too; whole runs and growth take the CPU's small pair there.
"""


def read(folder: Path) -> dict[str, dict[str, Any]]:
    """The sections that a machine's folder has, in their order."""
    paths = {section: folder / f"{section}.json" for section in SECTIONS}
    return {section: json.loads(path.read_text()) for section, path in paths.items() if path.exists()}


def summary(sections: Sections) -> str:
    """The table of those targets that were measured."""
    return tables.of_targets(target for target in targets(sections) if target.reached is not None)


def render(machines: Mapping[str, Sections]) -> str:
    """The whole page.

    Args:
        machines: Name of a machine's folder -> its sections.
    """
    measured = [sections for sections in machines.values() if sections]
    parts = [_INTRODUCTION, *(_of_machine(sections) for sections in measured)]
    if not any(_machine(sections)["device"] == "cuda" for sections in measured):
        parts.append(_NO_GPU)
    return "\n".join(parts)


def _machine(sections: Sections) -> Mapping[str, Any]:
    machine: Mapping[str, Any] = next(iter(sections.values()))["machine"]
    return machine


def _of_machine(sections: Sections) -> str:
    machine = _machine(sections)
    name = machine["gpu"] or f"{machine['cpu']}, {machine['cores']} cores"
    parts = [f"## {name}", _about(sections), "### Targets", _OF_TARGETS, tables.of_targets(targets(sections))]
    for section, content in sections.items():
        parts += [f"### {_TITLES[section]}", _NOTES[section], tables.TABLES[section](content["rows"])]
    return "\n\n".join(parts) + "\n"


def _about(sections: Sections) -> str:
    """The machine, and with which versions and at which commit each section was measured."""
    machine = _machine(sections)
    lines = [f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB of memory, {machine['os']}."]
    took = sum(content["took_seconds"] for content in sections.values()) / 60
    lines[0] += f" Measuring took {took:.0f} minutes."
    return "\n\n".join([*lines, *_grouped(sections, _versions), *_grouped(sections, _commit)])


def _grouped(sections: Sections, tell: Callable[[Mapping[str, Any]], str | None]) -> list[str]:
    """What is told of the sections, each thing once, with the names of its sections where it holds for some alone."""
    groups: dict[str, list[str]] = {}
    for section, content in sections.items():
        if told := tell(content):
            groups.setdefault(told, []).append(section)
    return [
        f"{told}." if len(names) == len(sections) else f"{', '.join(names)}: {told}." for told, names in groups.items()
    ]


def _versions(content: Mapping[str, Any]) -> str:
    told = ", ".join(f"{name} {version}" for name, version in content["versions"].items())
    return f"Python {content['machine']['python']}, {told}"


def _commit(content: Mapping[str, Any]) -> str | None:
    return f"commit {content['commit']}" if content.get("commit") else None


def write(results: Path, path: Path) -> None:
    """Makes the page of all machines whose results there are.

    Args:
        results: Folder of folders, one a machine.
        path: The page.
    """
    folders = sorted(folder for folder in results.iterdir() if folder.is_dir())
    path.write_text(render({folder.name: read(folder) for folder in folders}), encoding="utf-8")


if __name__ == "__main__":
    write(RESULTS, PAGE)
