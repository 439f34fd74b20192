"""What a policy of the user's own must offer; tried on scores that are made up before anything is trained."""

import operator
from collections.abc import Sequence
from contextlib import suppress

from scd_lightning.config.extensions import copy_to_try, refused, require_flag, tried
from scd_lightning.schedules.policies import Policy, Scores, candidates

_POLICY = "method.policy"


def check_flags(policy: Policy) -> None:
    """Raises a ConfigError where a policy does not say whether it needs scores."""
    require_flag(policy, "needs_scores", _POLICY, "whether the checkpoints' KLs are measured for it")


def checked_index(policy: Policy, chosen: object, stage: int, num_checkpoints: int) -> int:
    """The checkpoint that a policy has chosen, as a plain int.

    Args:
        policy: The policy.
        chosen: What it has returned.
        stage: For which stage.
        num_checkpoints: N.

    Raises:
        ConfigError: It is none of the N checkpoints.
    """
    index = None
    with suppress(TypeError):
        # numpy's integers too. True is one of Python's, and a mistake here.
        index = None if isinstance(chosen, bool) else operator.index(chosen)  # type: ignore[arg-type]
    if index is None or not 0 <= index < num_checkpoints:
        raise refused(
            "The policy returns no checkpoint",
            policy,
            where=_POLICY,
            got=f"{type(chosen).__name__} {chosen!r} for stage {stage}",
            expected=f"an int from 0 to {num_checkpoints - 1}, for {num_checkpoints} checkpoints",
        )
    return index


def rehearse(policy: Policy, num_stages: int, num_checkpoints: int) -> None:
    """Has a copy of a policy choose for all stages by scores that are made up.

    Args:
        policy: The policy.
        num_stages: Stages of the distillation.
        num_checkpoints: N.

    Raises:
        ConfigError: It fails, or chooses what is no checkpoint.
    """
    for best in {0, num_checkpoints - 1}:
        trial, history = copy_to_try(policy), list[int]()
        if trial is None:
            return
        for stage in range(num_stages):
            scores = made_up(best, num_checkpoints, stage, measured=policy.needs_scores)
            with tried(policy, _POLICY):
                chosen = trial.select(stage, scores, tuple(history))
            history.append(checked_index(policy, chosen, stage, num_checkpoints))
        with tried(policy, _POLICY):
            named = list(candidates(trial, best, num_checkpoints))
        for each in named:
            checked_index(policy, each, 0, num_checkpoints)


def made_up(best: int, num_checkpoints: int, stage: int, *, measured: bool) -> Scores:
    """Scores of a usual kind: checkpoints are as far from the best as they lie apart, and the student comes nearer.

    Args:
        best: Index of the best checkpoint.
        num_checkpoints: N.
        stage: How often the student has come nearer.
        measured: Whether there are any.
    """
    best_kl: Sequence[float] = [0.1 * abs(index - best) for index in range(num_checkpoints)]
    student_kl = [0.2 + 0.1 * abs(index - stage) for index in range(num_checkpoints)]
    return Scores(best, num_checkpoints, list(best_kl) if measured else None, student_kl if measured else None)
