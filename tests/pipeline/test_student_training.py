"""How fast students learn: the factors on their learning rate, whole trainings at a time."""

import pytest

# Powers of two: learning rate times factor is then exact, and so are the weights that come of it.
TAUGHT = ("method=td", "student.optimizer.lr=0.002")


@pytest.fixture
def trained(make_job, run_job, outcome):
    """Weights and numbers that a job with these overrides leaves, by artifact and file."""

    def of(*overrides: str, store: str) -> dict:
        job = make_job(*TAUGHT, *overrides, run=store, store=store)
        run_job(job)
        return outcome(job)

    return of


def parts(outcome: dict, name: str) -> dict:
    """One artifact's."""
    found = {file: value for (artifact, file), value in outcome.items() if artifact == name}
    assert len(found) > 1
    return found


def test_a_budget_s_factor_is_as_good_as_another_rate_of_the_student_s_own(trained):
    plain, scaled = trained(store="plain"), trained("budget.lr_scale=4.0", store="scaled")
    fast = trained("student.optimizer.lr=0.008", store="fast")
    for name in ("teacher", "anchor", "student"):
        assert parts(scaled, name) == parts(fast, name)
        assert (parts(scaled, name) == parts(plain, name)) == (name == "teacher")


@pytest.mark.slow
def test_a_method_s_factor_is_the_distilled_student_s_alone_and_beside_the_budget_s(trained):
    both = trained("budget.lr_scale=0.5", "method.lr_scale=4.0", store="both")
    slow, fast = trained("budget.lr_scale=0.5", store="slow"), trained("budget.lr_scale=2.0", store="fast")
    assert parts(both, "anchor") == parts(slow, "anchor") != parts(fast, "anchor")
    assert parts(both, "student") == parts(fast, "student") != parts(slow, "student")
