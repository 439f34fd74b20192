"""What a case's reports come to; a step's operations against what PyTorch counts; contenders that agree."""

import ast
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaForCausalLM

from benchmarks import steps, workload
from benchmarks.contenders.bare import completion_loss
from benchmarks.referee import CONTENDERS
from benchmarks.settings import PEERS, ROOT, Settings
from benchmarks.workload import Case, Shape

STUDENT, TEACHER = Shape(16, 2, 4, 2, 40), Shape(32, 2, 4, 4, 64)
CASE = Case("tiny", 50, 6, 2, 2, 3, STUDENT, TEACHER, samples=8)


def report(seconds, loss=0.0, **more):
    return {"seconds": seconds, "cpu_seconds": 2 * seconds, "loss": loss, "peak_bytes": 1000} | more


def parts(head, vocabulary_pass):
    seconds = {"head": head, "vocabulary_pass": vocabulary_pass, "gemm": 0.5}
    return {name: {"seconds": value, "cpu_seconds": 3 * value} for name, value in seconds.items()}


def made(**losses):
    floor = [report(9, parts=parts(9, 9), gemm_size=100)]
    floor += [report(9, parts=parts(head, 0.25), gemm_size=100) for head in (1, 2, 4)]
    seconds = {"bare": (8, 1, 3, 2), "sft": (50, 4, 5, 6), "cached": (50, 7, 7, 8), "trl": (50, 20, 20, 21)}
    reports = {
        name: [report(s, loss) for s, loss in zip(of, losses.get(name, (0, 0, 0, 0)), strict=True)]
        for name, of in seconds.items()
    }
    return steps.row(CASE, reports | {"floor": floor})


def test_a_step_is_the_median_of_all_but_the_first():
    row = made()
    assert row["contenders"]["bare"]["seconds"] == {"median": 2, "min": 1, "max": 3}
    assert row["contenders"]["sft"]["cpu_seconds"] == {"median": 10, "min": 8, "max": 12}
    assert row["contenders"]["bare"]["tokens_per_second"] == 2 * 8 / 2
    assert row["parts"]["head"]["seconds"] == {"median": 2, "min": 1, "max": 4}


def test_the_floor_adds_the_parts_to_the_fine_tuning_step():
    assert made()["floor"] == {"seconds": 5 + 2 + 0.25, "cpu_seconds": 10 + 6 + 0.75}


def test_losses_are_compared_where_they_should_be_equal():
    row = made(bare=(9, 8, 7, 6), sft=(9, 8, 7, 6.5), cached=(1, 2, 3, 4), trl=(1, 2.25, 3, 4))
    assert row["largest_loss_difference"] == {"fine_tuning": 0.5, "distillation": 0.25}
    assert row["contenders"]["cached"]["losses"] == [1, 2, 3, 4]


def test_one_contender_has_no_loss_to_compare_with():
    of = {"bare": [report(1)] * 3, "sft": [report(1)] * 3, "cached": [report(1)] * 3}
    row = steps.row(CASE, of | {"floor": [report(1, parts=parts(1, 1), gemm_size=10)] * 3})
    assert row["largest_loss_difference"] == {"fine_tuning": 0, "distillation": None}


def test_utilisation_is_of_the_machines_own_matrix_product():
    cached = made()["contenders"]["cached"]
    assert cached["utilisation"] == pytest.approx(cached["operations"] / 7 / (2 * 100**3 / 0.5))


def matrix_products(count):
    """Operations of products with weights: no attention, no rotary angles."""
    return sum(n for operator, n in count.get_flop_counts()["Global"].items() if str(operator) == "aten.mm")


def model(shape):
    return LlamaForCausalLM(shape.config(CASE.vocab_size))


def test_operations_of_a_step_are_what_pytorch_counts():
    ids = torch.randint(CASE.vocab_size, (CASE.batch, CASE.prompt + CASE.completion))
    with FlopCounterMode(display=False) as student:
        completion_loss(model(STUDENT), ids, CASE.prompt).backward()
    with FlopCounterMode(display=False) as teacher, torch.no_grad():
        completion_loss(model(TEACHER), ids, CASE.prompt)
    head = 2 * CASE.completion_tokens * TEACHER.hidden * CASE.vocab_size
    fine_tuning = matrix_products(student)
    assert steps.operations(CASE, "sft") == steps.operations(CASE, "bare") == fine_tuning
    assert steps.operations(CASE, "cached") == fine_tuning + head
    assert steps.operations(CASE, "live") == steps.operations(CASE, "trl") == fine_tuning + matrix_products(teacher)


def test_a_workload_is_the_same_each_time(tmp_path):
    first, second = (workload.make(CASE, tmp_path / name) for name in ("a", "b"))
    (case, ids), (_, again) = workload.read(first), workload.read(second)
    assert case == CASE
    assert (ids == again).all()
    assert ids.shape == (8, 8)
    for role in ("student", "teacher"):
        weights = (workload.load(folder, role, "cpu").state_dict() for folder in (first, second))
        for one, other in zip(*(each.values() for each in weights), strict=True):
            assert torch.equal(one, other)


def imported(path):
    """Full names of what a file imports, wherever in it."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named = {
        f"{node.module}.{alias.name}" for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    return plain | named


def files_of(name):
    """Files of the repository that an import of this name runs."""
    parts = name.split(".")
    stems = [ROOT.joinpath(*parts[: length + 1]) for length in range(len(parts))]
    return {path for stem in stems for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.exists()}


@pytest.mark.parametrize("module", ["bare", "trl_gkd", "modelopt_kd"])
def test_those_that_we_are_measured_against_need_nothing_of_the_package(module):
    seen, new = set(), {ROOT / "benchmarks" / "contenders" / f"{module}.py"}
    while new:
        seen |= new
        new = {path for name in set().union(*map(imported, new)) for path in files_of(name)} - seen
    assert {ROOT / "benchmarks" / "workload.py", ROOT / "benchmarks" / "contenders" / "gate.py"} <= seen
    assert {path.relative_to(ROOT).parts[0] for path in seen} == {"benchmarks"}


def test_every_peer_contends():
    assert {contender.peer for contender in CONTENDERS.values()} == {"", *PEERS}


@pytest.mark.slow
def test_our_contenders_agree(tmp_path: Path):
    reports = steps.run_contenders(Settings(tmp_path), CASE, ("bare", "sft", "cached", "live"))
    row = steps.row(CASE, reports)
    assert all(len(each["losses"]) == CASE.steps for each in row["contenders"].values())
    assert row["largest_loss_difference"]["fine_tuning"] < 1e-5
    assert row["largest_loss_difference"]["distillation"] < 1e-5


@pytest.mark.slow
def test_a_step_on_texts_is_the_same_work_as_one_on_rows_with_labels(tmp_path: Path):
    reports = steps.take_turns(Settings(tmp_path), CASE, ("cached", "texts"))
    cached, texts = ([report["loss"] for report in reports[name]] for name in ("cached", "texts"))
    assert texts == cached


@pytest.mark.slow
def test_a_contender_that_fails_is_named(tmp_path: Path):
    broken = replace(CASE, samples=1)
    with pytest.raises(RuntimeError, match=r"The contender sft ended with exit code 1:[\s\S]*IndexError"):
        steps.run_contenders(Settings(tmp_path), broken, ("sft",))
