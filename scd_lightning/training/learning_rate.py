"""The learning rate over a training: it starts afresh at every stage."""

import math


def learning_rate_factor(step: int, stage_steps: int, warmup: float, scale: float = 1.0) -> float:
    """Factor on the learning rate: linear warm-up, then cosine to 0, afresh at every stage.

    A pure function of the step within the stage, so that the stage's restart needs no new scheduler object.

    Args:
        step: Optimizer step since the beginning of training.
        stage_steps: Optimizer steps of a stage.
        warmup: Share of the stage that climbs; at least one step.
        scale: The factor at the stage's top, where the climb ends.
    """
    within = step % stage_steps
    climbing = min(max(1, math.ceil(warmup * stage_steps)), stage_steps)
    if within < climbing:
        return scale * ((within + 1) / climbing)
    return scale * 0.5 * (1 + math.cos(math.pi * (within - climbing) / max(1, stage_steps - climbing)))
