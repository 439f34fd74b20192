"""How much disk space a teacher's signals may take, known before any weights are loaded."""

from collections.abc import Sequence

from scd_lightning.analysis.formatting import disk_size
from scd_lightning.lm_head import LMHead
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.models.loading import build_empty, resolve_dtype
from scd_lightning.models.tokenizers import vocabulary_size
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.progress import say
from scd_lightning.schedules.policies import candidates
from scd_lightning.store.checkpoints import CheckpointStore
from scd_lightning.store.disk import check_free_space
from scd_lightning.teachers.signals import SampleSet, SignalStore

_REMEDY = (
    "choose another folder with paths.store, halve float32 signals with method.signals_dtype=bfloat16, or take "
    "method.teacher=live, which stores none"
)


def check_signal_space(
    job: PreparedJob,
    trajectory: CheckpointStore,
    best: int,
    signals: SignalStore,
    training: SampleSet,
    probe: SampleSet,
    *,
    best_beside: bool = False,
) -> None:
    """Makes sure that the disk has room for the signals that are not there yet, and says how large they may become.

    Args:
        job: The run.
        trajectory: The teacher's checkpoints.
        best: Index of the best one.
        signals: Where signals are kept.
        training: The training samples, for the checkpoints that the policy chooses.
        probe: The probe set, for all checkpoints if the policy needs scores.
        best_beside: Whether the best checkpoint's signals of the training samples are used beside a stage's own.

    Raises:
        StoreError: There is less room.
    """
    assert job.method.policy is not None
    digests = [trajectory.digest(index) for index in range(len(trajectory.entries))]
    chosen, most = set(candidates(job.method.policy, best, len(digests))), job.budget.stages
    if best_beside:
        chosen, most = chosen | {best}, most + 1
    wanted = [(training, [digests[index] for index in sorted(chosen)], most)]
    if job.method.policy.needs_scores:
        wanted.append((probe, digests, len(digests)))
    needed = missing_bytes(signals, wanted, _teacher_head(job))
    if needed:
        say(f"  the teacher's signals will take up to {disk_size(needed)} of the store")
    check_free_space(signals.root, needed, "the teacher's signals", _REMEDY)


def missing_bytes(signals: SignalStore, wanted: Sequence[tuple[SampleSet, Sequence[str], int]], head: LMHead) -> int:
    """Disk space of the signals that are not there yet, at most.

    Args:
        signals: Where signals are kept.
        wanted: Sample sets, each with the digests of the checkpoints that signals may be wanted of, and of how many of
            them at most.
        head: The teacher's LM head, of the right shapes and dtype; frozen where all checkpoints share it.
    """
    width, dtype = head.weight.shape[1], head.weight.dtype
    total, most_heads = 0, 0
    headless, with_head = set[str](), set[str]()
    for samples, digests, most in wanted:
        missing = {digest: signals.missing_bytes(digest, samples, width, dtype) for digest in digests}
        total += sum(sorted(missing.values(), reverse=True)[:most])
        most_heads = max(most_heads, most)
        headless |= {digest for digest, count in missing.items() if count}
        with_head |= {digest for digest, count in missing.items() if not count}
    if not head.weight.requires_grad:
        # One file for all of them; whether it is there shows in any that is complete.
        most_heads = 0 if with_head else 1
    one = sum(tensor.nbytes for tensor in (head.weight, head.bias) if tensor is not None)
    return total + min(most_heads, len(headless - with_head)) * one


def _teacher_head(job: PreparedJob) -> LMHead:
    """The teacher's LM head without memory, in the dtype that its hidden states have too."""
    empty = job.trainer.convert(build_empty(job.teacher, job.tokenizer).to(resolve_dtype(job.teacher)))
    return CausalLM(empty, vocabulary_size(job.tokenizer)).head
