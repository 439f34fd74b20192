"""Fine-tuning on gold completions: the teacher's, and the anchor's."""

from torch import Tensor

from scd_lightning.batch import Batch
from scd_lightning.models.module import CausalLMModule


class TeacherModule(CausalLMModule):
    """Supervised fine-tuning: cross-entropy on completion tokens alone."""

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """This micro-batch's share of the optimizer step's loss."""
        result = self.objective(
            self.lm.logits(batch),
            batch.targets,
            batch.rows,
            batch.sample_weight,
            window_samples=batch.window_samples,
            window_tokens=batch.window_tokens,
        )
        return self.training_share(batch, result)
