"""The phase `answer` beside the same teacher's bare generation on the same texts, in turns, in one process."""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from torch import Tensor

from benchmarks.floor import timed
from benchmarks.rows import spread
from benchmarks.settings import ROOT
from scd_lightning.batch import TokenizedSample
from scd_lightning.cli.built_job import build_job
from scd_lightning.cli.quiet import quiet
from scd_lightning.config.build import read_settings
from scd_lightning.data.unlabelled import UNLABELLED
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.models.decoding import greedy_decode, pad_left
from scd_lightning.pipeline.answer import ANSWERS, answer_texts
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.pipeline.predict import PredictionLog
from scd_lightning.pipeline.prepare import prepare
from scd_lightning.pipeline.runner import execute, plan
from scd_lightning.pipeline.teacher_sft import TRAJECTORY
from scd_lightning.store.artifacts import Artifact
from scd_lightning.store.checkpoints import CheckpointStore
from scd_lightning.store.manifest import read_json_lines

_CLOCKS = ("seconds", "cpu_seconds")
Times = dict[str, float]


@dataclass(frozen=True)
class Contest:
    """A teacher and the texts that it answers.

    Attributes:
        job: The job.
        made: Its teacher.
        device: "cpu" or "cuda".
    """

    job: PreparedJob
    made: Mapping[str, Artifact]
    device: str

    @property
    def checkpoints(self) -> tuple[CheckpointStore, int]:
        """The teacher's trajectory, and which of it is the best."""
        teacher = self.made["teacher"]
        return CheckpointStore(teacher.folder / TRAJECTORY), teacher.result.best

    def phase(self) -> tuple[dict[str, Times], list[str]]:
        """What the phase takes, "phase" without the validation split and "validation" alone; and its answers."""
        store, best = self.checkpoints
        with tempfile.TemporaryDirectory(dir=self.job.run_dir) as name:
            folder = Path(name)
            costs = answer_texts(self.job, folder, self.made).costs
            read = {split: _costs(folder, split, store.digest(best)) for split in (UNLABELLED, "validation")}
            validation = {clock: read["validation"][clock] - read[UNLABELLED][clock] for clock in _CLOCKS}
            answers = [row["answer"] for row in read_json_lines(folder / ANSWERS)]
        return {
            "phase": {clock: costs[clock] - validation[clock] for clock in _CLOCKS},
            "validation": validation,
        }, answers

    def model(self) -> CausalLM:
        """The teacher's best checkpoint, where it computes."""
        model, (store, best) = self.job.build(self.job.teacher), self.checkpoints
        store.load_into(model, best)
        return model.to(self.job.trainer().strategy.root_device).eval()

    def batches(self) -> list[list[TokenizedSample]]:
        """The texts, in the batches of the phase."""
        samples = self.job.data.tokenized[UNLABELLED]
        return [[samples[index] for index in batch.indices] for batch in self.job.data.evaluation_loader(UNLABELLED)]


def _costs(folder: Path, split: str, digest: str) -> Mapping[str, Any]:
    """What the phase had cost when it had answered a split."""
    log = PredictionLog(folder, split, digest)
    log.read()
    assert log.costs is not None
    return log.costs


def generate(job: PreparedJob, model: CausalLM, batches: Sequence[Sequence[TokenizedSample]]) -> dict[int, str]:
    """The plainest loop: transformers' own greedy generation, batch by batch.

    Args:
        job: Its tokenizer and the length of an answer.
        model: The model.
        batches: The samples.

    Returns:
        The answer to each, by its position.
    """
    end, found = job.tokenizer.eos_token_id, dict[int, str]()
    for samples in batches:
        ids, mask = pad_left([sample.prompt_ids for sample in samples], end, model.device)
        asked = {"do_sample": False, "max_new_tokens": job.data.max_new_tokens}
        # The method of transformers hides its types.
        make: Callable[..., Tensor] = model.base.generate  # type: ignore[assignment]
        answers = make(input_ids=ids, attention_mask=mask, pad_token_id=end, eos_token_id=end, **asked)
        texts = job.tokenizer.batch_decode(answers[:, ids.shape[1] :], skip_special_tokens=True)
        found |= zip((sample.index for sample in samples), texts, strict=True)
    return found


def decode(job: PreparedJob, model: CausalLM, batches: Sequence[Sequence[TokenizedSample]]) -> None:
    """Our own decoding, batch by batch, and nothing else."""
    for samples in batches:
        greedy_decode(model, job.tokenizer, samples, job.data.max_new_tokens)


def rounds(contest: Contest, count: int) -> dict[str, Any]:
    """Has the phase and the bare loops take turns; the first round warms up.

    Args:
        contest: The teacher and the texts.
        count: Rounds that count.

    Returns:
        "seconds" and "cpu_seconds" of "phase", "validation", "generate" and "decode", {median, min, max} each; "texts",
        "validation" samples, "rounds", and "equal", the share of texts that the phase and transformers answer alike.
    """
    job, model, batches = contest.job, contest.model(), contest.batches()
    context = job.trainer().precision_plugin.forward_context
    taken: list[dict[str, Times]] = []
    answers: list[str] = []
    bare: dict[int, str] = {}

    def by_transformers() -> None:
        bare.update(generate(job, model, batches))

    loops: dict[str, Callable[[], None]] = {"generate": by_transformers, "decode": lambda: decode(job, model, batches)}
    for _ in range(count + 1):
        times, answers = contest.phase()
        with context():
            times |= {name: timed(loop, contest.device) for name, loop in loops.items()}
        taken.append(times)
    spreads = {
        clock: {name: spread([each[name][clock] for each in taken[1:]]) for name in taken[0]} for clock in _CLOCKS
    }
    alike = [answers[index].strip() == text.strip() for index, text in bare.items()]
    sizes = {"texts": len(answers), "validation": len(job.data.samples["validation"]), "rounds": count}
    return spreads | sizes | {"equal": sum(alike) / len(alike)}


def contest(order: Mapping[str, Any], folder: Path) -> Contest:
    """Makes a job of the embedded data, and trains its teacher.

    Args:
        order: Numbers of "texts" and training "rows", "epochs" of the teacher, and the "device".
        folder: Where all of it goes.
    """
    overrides = [
        "task=ner",
        "teacher.checkpoints=1",
        f"trainer={'gpu' if order['device'] == 'cuda' else 'cpu'}",
        "logger=none",
    ]
    overrides += [f"paths.store='{folder}'", f"paths.run='{folder}'", f"teacher.epochs={order['epochs']}"]
    overrides += [f"task.data.synthetic={{train: {order['rows']}, unlabelled: {order['texts']}}}", "seed=0"]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        job = prepare(build_job(read_settings(compose("config", overrides)), folder))
    made = execute(job, [step for step in plan(job) if step.name == "teacher"])
    return Contest(job, made, order["device"])


def main(order: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Measures as `rounds` says, without a word of the pipeline's.

    Args:
        order: As of `contest`, and "rounds".
        folder: Where all of it goes.
    """
    quiet()
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        return rounds(contest(order, folder), order["rounds"])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as root:
        Path(sys.argv[2]).write_text(json.dumps(main(json.loads(sys.argv[1]), Path(root))))
