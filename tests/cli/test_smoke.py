"""`debug=smoke` runs all stages of every task, and says what a full run would take."""

import json
import re
import shutil
from pathlib import Path

import pytest

CONF = Path(__file__).parents[2] / "conf"

QUESTIONS = [
    {
        "pubid": number,
        "question": f"Does drug {number} help?",
        "context": {"contexts": [f"Of {number} patients, {number % 7} were well.", "The rest were not."]},
        "long_answer": "It may.",
        "final_decision": ("yes", "no", "maybe")[number % 3],
    }
    for number in range(120)
]


@pytest.mark.parametrize(
    "task", ["ner", *(pytest.param(each, marks=pytest.mark.slow) for each in ("classification", "pubmedqa"))]
)
def test_every_stage_runs_and_the_last_line_tells_the_costs_of_a_full_run(run_py, tmp_path, task):
    extra = []
    if task == "classification":  # Tokens, and texts without labels.
        extra = ["budget.batch_tokens=900", "teacher.batch_tokens=1100", "task.data.synthetic.unlabelled=300"]
    if task == "pubmedqa":
        (tmp_path / "data").mkdir()
        lines = [json.dumps(row) for row in QUESTIONS]
        (tmp_path / "data" / "train.jsonl").write_text("\n".join(lines))
        extra = ["task.data.path=data"]
    if task == "ner":  # With an option from a folder of the user's own.
        (tmp_path / "conf" / "method").mkdir(parents=True)
        shutil.copy(CONF / "method" / "scd_aw.yaml", tmp_path / "conf" / "method" / "mine.yaml")
        extra = [f"hydra.searchpath=[file://{tmp_path}/conf]", "method=mine", "budget.samples=60000"]
    code, out, error = run_py(f"task={task}", *extra, "debug=smoke", "hydra.run.dir=run")
    assert code == 0, error
    run = tmp_path / "run"
    results = json.loads((run / "results.json").read_text())
    assert max(results["data"]["sizes"].values()) <= 32
    assert len(results["schedule"]) == 2
    # Samples are those of the full run.
    assert (results["budget"]["stages"], results["budget"]["stage_epochs"]) == (2, 1)
    assert (run / "student" / "config.json").is_file()
    assert (run / "report.html").is_file()
    assert not list(run.glob("step-seconds*"))
    last = out[out.rindex("A full run") :]
    bounds = re.findall(r"(\w+) (?:\d+ \w+ to |up to )?\d+ \w+", last)
    assert {"teacher_sft", "student_sft", "distill", "evaluate"} <= set(bounds), last
    assert ("answer" in bounds) == (task == "classification")
    assert "rough" in last
