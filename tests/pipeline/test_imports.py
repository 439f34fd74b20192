"""Whole runs from models that transformers' Trainer, peft and Lightning fine-tuned; transformers is the oracle."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from scd_lightning.batch import TokenizedSample
from scd_lightning.pipeline.keys import anchor_key
from scd_lightning.pipeline.student_training import TRAIN_LOSSES


@torch.no_grad()
def losses(model: Any, samples: Sequence[TokenizedSample]) -> list[float]:
    """transformers' own loss, over the completions."""
    model.eval()
    found = []
    for sample in samples:
        ids = torch.tensor([sample.prompt_ids + sample.completion_ids])
        labels = ids.clone()
        labels[:, : len(sample.prompt_ids)] = -100
        found.append(float(model(input_ids=ids, labels=labels).loss))
    return found


@torch.no_grad()
def answers(model: Any, samples: Sequence[TokenizedSample], tokenizer: Any) -> list[str]:
    found = []
    for sample in samples:
        ids = torch.tensor([sample.prompt_ids])
        out = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12, eos_token_id=0, pad_token_id=1
        )
        found.append(tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True))
    return found


def check_against(models: Sequence[Any], job: Any, made: Any) -> None:
    """The imported checkpoints' losses and the best one's answers are the original models'."""
    kept = np.load(made["teacher"].folder / "validation_losses.npy")
    expected = [losses(model, job.data.tokenized["validation"]) for model in models]
    assert kept == pytest.approx(np.asarray(expected), abs=1e-5)
    assert np.abs(np.diff(kept, axis=0)).max(1).min() > 1e-3
    best = made["teacher"].result.best
    rows = [json.loads(line) for line in (job.run_dir / "predictions" / "teacher.jsonl").open()]
    test = job.data.tokenized["test"]
    assert [row["loss"] for row in rows] == pytest.approx(losses(models[best], test), abs=1e-5)
    given = [row["answer"].strip() for row in rows]
    assert given == [each.strip() for each in answers(models[best], test, job.tokenizer)]
    assert len(set(given)) > 1


def test_distils_from_a_trajectory_of_transformers_trainer(make_imported, run_job, full, capsys):
    job = make_imported(f"teacher.trajectory='{full}/checkpoint-*'", "method=scd")
    made = run_job(job)
    assert "imported 3 checkpoints" in capsys.readouterr().out
    check_against([AutoModelForCausalLM.from_pretrained(full / f"checkpoint-{step}") for step in (2, 4, 6)], job, made)
    result = made["teacher"].result
    assert result.imported == [{"step": step, "kind": "transformers"} for step in (2, 4, 6)]
    assert [entry["step"] for entry in result.trajectory] == [2, 4, 6]
    assert result.curve == []
    assert len(made["student"].result.schedule) == 2
    text = (job.run_dir / "results.json").read_text()
    assert json.loads(text)["imported"] == {"teacher": result.imported}
    assert str(full.parent) not in text


def test_the_same_files_elsewhere_are_not_read_again(make_imported, run_job, full):
    stages = "phases=[teacher_sft,student_sft]"
    made = run_job(make_imported(f"teacher.trajectory='{full}/checkpoint-*'", stages))
    copy = full.parent / "copy"
    shutil.copytree(full, copy)
    again = run_job(make_imported(f"teacher.trajectory='{copy}'", stages, "teacher.epochs=9", "teacher.checkpoints=1"))
    assert again["teacher"].reused
    assert again["teacher"].folder == made["teacher"].folder
    later = run_job(make_imported(f"teacher.trajectory='{copy}'", "method=td", "phases=[distill]"))
    assert later["teacher"].reused
    assert not later["student"].reused


def test_distils_from_adapters_that_peft_saved(make_imported, run_job, work, adapters, capsys):
    job = make_imported(f"teacher.trajectory='{adapters}'", "method=scd_aw", "method.teacher=live", run="adapters")
    made = run_job(job)
    models = [
        PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(work.base), adapters / f"checkpoint-{step}")
        for step in (2, 4, 6)
    ]
    check_against(models, job, made)
    assert (job.teacher.lora.r, job.teacher.lora.alpha) == (4, 12)
    sizes = [path.stat().st_size for path in (made["teacher"].folder / "trajectory").glob("*.safetensors")]
    assert len(sizes) == 3
    assert max(sizes) < (work.base / "model.safetensors").stat().st_size / 4


def test_equal_adapters_on_another_base_have_signals_of_their_own(make_imported, run_job, work, adapters, tmp_path):
    options = [f"teacher.trajectory='{adapters}'", "method=cd", "phases=[teacher_sft,student_sft,distill]"]
    other: Any = AutoModelForCausalLM.from_pretrained(work.base)
    torch.nn.init.constant_(other.model.norm.weight, 3)
    other.save_pretrained(tmp_path / "other")
    work.tokenizer.save_pretrained(tmp_path / "other")
    store = str(tmp_path / "store")
    run_job(make_imported(*options, store=store))
    made = run_job(make_imported(*options, f"teacher.path='{tmp_path}/other'", store=store))
    fresh = run_job(make_imported(*options, f"teacher.path='{tmp_path}/other'", store=str(tmp_path / "fresh")))
    assert made["student"].result.curve == fresh["student"].result.curve


def test_distils_from_lightning_s_checkpoints(make_imported, run_job, work):
    folder = work.lightning(work.root / "runs" / "lightning")
    job = make_imported(f"teacher.trajectory='{folder}'", "teacher.allow_pickle=true", "method=cd", run="lightning")
    made = run_job(job)
    models = []
    for step in (2, 4, 6):
        stored = torch.load(folder / f"step={step}.ckpt", weights_only=True)["state_dict"]
        models.append(AutoModelForCausalLM.from_pretrained(work.base))
        models[-1].load_state_dict({n.removeprefix("net."): t for n, t in stored.items() if n.startswith("net.")})
    check_against(models, job, made)


LORA = ["student.lora.r=4", "student.lora.alpha=12", "student.lora.target_modules=[q_proj,v_proj]"]


@pytest.mark.parametrize(("kind", "options"), [("transformers", []), ("peft", []), ("peft", LORA)])
def test_an_existing_anchor_and_a_student_that_starts_from_it(make_imported, run_job, work, full, kind, options):
    folder = work.root / "runs" / f"anchor_{kind}"
    small: Any = AutoModelForCausalLM.from_pretrained(work.student)
    if kind == "transformers":
        oracle: Any = AutoModelForCausalLM.from_pretrained(work.train(small, folder) / "checkpoint-6")
    else:
        oracle = PeftModel.from_pretrained(small, work.adapters(folder, work.student) / "checkpoint-6")
    job = make_imported(
        f"anchor.path='{folder}/checkpoint-6'",
        f"teacher.trajectory='{full}'",
        "method=td_aw",
        "student.init=anchor",
        "student.optimizer.lr=0",
        "phases=[teacher_sft,student_sft,distill]",
        *options,
    )
    made = run_job(job)
    kept = np.load(made["anchor"].folder / TRAIN_LOSSES)
    assert kept == pytest.approx(losses(oracle, job.data.tokenized["train"]), abs=1e-5)
    assert made["anchor"].result.imported == [{"step": 6, "kind": kind}]
    # With a learning rate of 0, the student after an epoch is what it started as.
    first = made["student"].result.curve[0]
    assert first["validation_loss"] == made["anchor"].result.validation_loss


def test_adapters_of_another_scale_are_another_anchor(make_imported, work, tmp_path):
    folder = work.adapters(tmp_path / "anchor", work.student) / "checkpoint-6"
    jobs = [make_imported(f"anchor.path='{folder}'", *options) for options in ([], LORA)]
    merged, kept = (anchor_key(job).digest for job in jobs)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"lora_alpha": 24}))
    assert len({merged, kept, anchor_key(make_imported(f"anchor.path='{folder}'")).digest}) == 3


@pytest.mark.parametrize("init", ["anchor", "base"])
def test_a_student_starts_from_our_own_anchor(make_imported, run_job, full, tmp_path, recorder, read_losses, init):
    options = [f"teacher.trajectory='{full}'", f"student.init={init}", "student.optimizer.lr=0.01"]
    job = make_imported(*options, "phases=[teacher_sft,student_sft,distill]")
    job.callbacks = [lambda: recorder(tmp_path)]
    kept = np.load(run_job(job)["anchor"].folder / TRAIN_LOSSES)
    found = {
        sample: loss for (kind, step, sample), loss in read_losses(tmp_path).items() if "Dist" in kind and step == 0
    }
    assert len(found) == 8
    same = [loss == pytest.approx(kept[sample], abs=1e-5) for sample, loss in found.items()]
    assert set(same) == {init == "anchor"}


@pytest.mark.parametrize("adapted", [False, True])
def test_distils_from_checkpoints_of_our_own_fine_tuning(make_imported, run_job, tmp_path, adapted):
    options = ["teacher.lora.r=4", "teacher.lora.alpha=20"] if adapted else []
    training = make_imported(*options, "phases=[teacher_sft]", "teacher.epochs=1", store=str(tmp_path / "store"))
    training.callbacks = [lambda: SaveByLightning(tmp_path)]
    made = run_job(training)
    job = make_imported(
        *options, f"teacher.trajectory='{tmp_path}/*.ckpt'", "teacher.allow_pickle=true", "phases=[teacher_sft]"
    )
    read = run_job(job)
    trajectories = [artifacts["teacher"].result.trajectory for artifacts in (made, read)]
    assert len(trajectories[0]) == 3
    assert trajectories[0] == trajectories[1]


class SaveByLightning(lightning.Callback):
    """Lightning's own checkpoints at the steps that a trajectory keeps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        trainer.save_checkpoint(self.folder / f"{trainer.global_step}.ckpt")


@pytest.mark.slow
@pytest.mark.parametrize("trainer", ["ddp_cpu", "fsdp_cpu"])
def test_two_processes_read_what_one_does(make_imported, run_job, command, work, full, tmp_path, trainer):
    anchor = work.train(AutoModelForCausalLM.from_pretrained(work.student), tmp_path / "anchor") / "checkpoint-6"
    options = (
        f"teacher.trajectory='{full}/checkpoint-*'",
        f"anchor.path='{anchor}'",
        "phases=[teacher_sft,student_sft]",
    )
    one = run_job(make_imported(*options, store=str(tmp_path / "one")))
    models = ("teacher=hub", "student=hub", *work.models, *work.data, *options)
    command(*models, f"trainer={trainer}", f"hydra.run.dir='{tmp_path / 'run'}'", f"paths.store='{tmp_path / 'two'}'")
    for name in ("teacher", "anchor"):
        two = json.loads((tmp_path / "two" / one[name].key.folder / "artifact.json").read_text())["result"]
        assert two["imported"] == one[name].result.imported
        losses = [_losses(name, result) for result in (vars(one[name].result), two)]
        assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def _losses(name: str, result: Any) -> list[float]:
    if name == "anchor":
        return [result["validation_loss"]]
    return [entry["metrics"]["loss"] for entry in result["trajectory"]]
