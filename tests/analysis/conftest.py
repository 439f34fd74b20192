"""A small run folder, made by hand in the formats that the pipeline writes."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CHECKPOINTS = 4


def results(method: str = "scd_aw", seed: int = 0, student: float = 0.842) -> dict[str, Any]:
    return {
        "task": "ner",
        "data": {
            "digest": "d1935c0ffee5a2b7",
            "sizes": {"train": 4000, "validation": 500, "test": 300},
            "split": "validation and test given",
            "cut": {"train": 3, "validation": 0, "test": 1},
            "dropped": {"train": 1},
        },
        "method": method,
        "seed": seed,
        "versions": {"torch": "2.13.0", "transformers": "5.23.0"},
        "primary_metric": "f1",
        "models": {
            "teacher": {"name": "teacher-small", "parameters": 3712512, "tokenizer": "bpe-2048"},
            "student": {"name": "student-small", "parameters": 371712, "tokenizer": "bpe-2048"},
        },
        "metrics": {
            "teacher": {"precision": 0.83, "recall": 0.813, "f1": 0.821, "malformed": 0.002},
            "anchor": {"precision": 0.77, "recall": 0.741, "f1": 0.755, "malformed": 0.01},
            "student": {"precision": 0.85, "recall": 0.834, "f1": student, "malformed": 0.004},
        },
        "subdomains": {
            "student_vs_teacher": {
                "loss": {"advantage": 0.081, "deficit": 0.044, "gap": -0.037, "sfs_share": 0.55, "tie_share": 0.0},
                "error": {"advantage": 0.06, "deficit": 0.04, "gap": -0.02, "sfs_share": 0.1, "tie_share": 0.82},
            },
            "anchor_vs_teacher": {
                "loss": {"advantage": 0.03, "deficit": 0.14, "gap": 0.11, "sfs_share": 0.3, "tie_share": 0.0},
                "error": {"advantage": 0.02, "deficit": 0.09, "gap": 0.07, "sfs_share": 0.05, "tie_share": 0.8},
            },
        },
        "schedule": [_stage(stage) for stage in range(CHECKPOINTS)] if method.startswith("scd") else [],
    }


def _stage(stage: int) -> dict[str, Any]:
    student_kl = [0.9 / (stage + 1) + 0.2 * abs(index - stage) for index in range(CHECKPOINTS)]
    return {
        "stage": stage,
        "epochs": [2 * stage, 2 * stage + 1],
        "checkpoint": min(stage + 1, CHECKPOINTS - 1),
        "best_kl": [0.8, 0.3, 0.00004, 0.01],
        "student_kl": student_kl,
        "mean_weight": 0.4 + 0.05 * stage,
    }


def _weights(stage: int) -> list[int]:
    return [100 + stage, *[0] * 18, 50]


def _schedule(stages: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "method": "scd_aw",
        "policy": "ScheduledCheckpoint",
        "num_checkpoints": CHECKPOINTS,
        "best_checkpoint": 2,
        "stages": stages,
    }


def _curve(epochs: int, low: float) -> list[dict[str, Any]]:
    return [
        {
            "epoch": epoch,
            "step": 50 * (epoch + 1),
            "train_loss": low + 2.0 / (epoch + 1),
            "validation_loss": low + 0.1 + 1.8 / (epoch + 1),
            "validation_metric": None if epoch == 0 else 0.9 - low - 0.5 / (epoch + 1),
        }
        for epoch in range(epochs)
    ]


def _predictions(name: str, samples: int) -> list[dict[str, Any]]:
    draw = random.Random(name)
    gold = '疾患: <b>糖尿病</b>\nDRUG: "metformin" & $x$'
    rows = []
    for index in range(samples):
        loss = 0.0 if index == 7 else draw.lognormvariate(-2.0, 1.6)
        correct = float(loss < 0.3)
        answer = gold if correct else "none"
        row = {"id": f"test-{index}", "answer": answer, "gold": gold, "correct": correct, "loss": loss}
        rows.append({**row, "malformed": False})
    return rows


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Gives make_run(name, method=, seed=, student=), which makes the folder of a finished run."""

    def make(name: str, **settings: Any) -> Path:
        folder = tmp_path / name
        (folder / "predictions").mkdir(parents=True)
        _write(folder / "results.json", results(**settings))
        return folder

    return make


@pytest.fixture
def make_answered(make_run: Callable[..., Path]) -> Callable[..., Path]:
    """Gives make_answered(name, right, anchor=), a run whose student is right on so many of 100 samples; teacher: 50.

    `draw=` makes its data those of an embedded generator with that seed; `evaluated=` names another split.
    """

    def make(
        name: str,
        right: int,
        anchor: int = 50,
        draw: int | None = None,
        evaluated: str | None = None,
        **settings: Any,
    ) -> Path:
        folder = make_run(name, **settings)
        results = json.loads((folder / "results.json").read_text())
        counts = {"teacher": 50, "anchor": anchor, "student": right}
        results |= {"task": "classification", "primary_metric": "accuracy"}
        results["data"]["settings"] = {"labels": ["A", "B"], "ordered": False}
        results["metrics"] = {model: {"accuracy": count / 100} for model, count in counts.items()}
        if draw is not None:
            generator = {"name": "embedded ner", "settings": {"train": 600, "label_noise": 0.02}, "seed": draw}
            results["data"] |= {"digest": f"of draw {draw}", "generator": generator}
            for model in results["models"].values():
                model |= {"weights": "scratch", "tokenizer": f"of draw {draw}", "parameters": 1000 + draw}
            samples = [json.dumps({"id": str(i), "input": f"{i} of draw {draw}", "labels": ["A"]}) for i in range(100)]
            (folder / "predictions" / "samples.jsonl").write_text("\n".join(samples))
        if evaluated is not None:
            results["evaluated_split"] = evaluated
        _write(folder / "results.json", results)
        for model, count in counts.items():
            answers = ["A" if i < count else "B" for i in range(100)]
            rows = [
                json.dumps(
                    {
                        "id": str(i),
                        "answer": answer,
                        "gold": "A",
                        "correct": float(answer == "A"),
                        "loss": 0.1,
                        "malformed": False,
                    }
                )
                for i, answer in enumerate(answers)
            ]
            (folder / "predictions" / f"{model}.jsonl").write_text("\n".join(rows))
        _write(folder / "curves.json", {"student": [{"epoch": 0, "validation_metric": right / 100}]})
        return folder

    return make


@pytest.fixture
def full_run(make_run: Callable[..., Path]) -> Path:
    """A run of scd_aw with every file that a run can leave."""
    folder = make_run("run")
    stages = [stage | {"weights": _weights(stage["stage"])} for stage in results()["schedule"]]
    _write(folder / "schedule.json", _schedule(stages))
    checkpoint_scores = enumerate((0.41, 0.7, 0.82, 0.81))
    trajectory = [
        {"index": i, "step": 100 * (i + 1), "metrics": {"f1": f1, "loss": 1 - f1}} for i, f1 in checkpoint_scores
    ]
    _write(folder / "trajectory.json", trajectory)
    student = [point | {"advantage": 0.1, "deficit": 0.3} for point in _curve(8, 0.15)]
    _write(folder / "curves.json", {"teacher": _curve(6, 0.1), "anchor": _curve(8, 0.3), "student": student})
    teacher_cost = {"seconds": 75.2, "cpu_seconds": 148.0, "peak_memory_bytes": 900 * 2**20, "samples": 24000}
    distill_cost = {"seconds": 31.0, "teacher_loads": 4, "teacher_forward_samples": 16000, "padding_share": 0.07}
    distill_cost |= {"teacher_load_bytes": 2_000_000_000, "teacher_load_seconds": 0.4}
    _write(folder / "costs.json", {"teacher_sft": {**teacher_cost, "reused": True}, "distill": distill_cost})
    for name in ("teacher", "anchor", "student"):
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in _predictions(name, 300)]
        (folder / "predictions" / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    _write(folder / "run.json", {"command": "python run.py task=ner '</pre>'", "started": "2030-01-01T00:00:00Z"})
    texts = [f"テキスト {index} </script><!-- \u2028 \u05d0\u05d1" for index in range(300)]
    samples = [{"id": f"test-{i}", "input": text, "labels": ["疾患", "DRUG"]} for i, text in enumerate(texts)]
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in samples]
    (folder / "predictions" / "samples.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder
