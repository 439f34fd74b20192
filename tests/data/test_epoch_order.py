"""That a Lightning fit really sees the batch plan of each epoch."""

import torch
from lightning import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from scd_lightning.batch import Slot
from scd_lightning.config.batch_size import SampleCount
from scd_lightning.data.batching import BatchPlan, PlanSampler

LENGTHS = tuple(range(3, 40))


class Slots(torch.utils.data.Dataset):
    def __getitem__(self, slot: Slot) -> int:
        return slot.index

    def __len__(self) -> int:
        return len(LENGTHS)


class Recorder(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.seen: list[list[list[int]]] = []

    def on_train_epoch_start(self) -> None:
        self.seen.append([])

    def training_step(self, batch: list[int], batch_idx: int) -> Tensor:
        self.seen[-1].append(list(batch))
        return self.layer.weight.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_each_epoch_of_a_fit_has_its_own_planned_order(tmp_path):
    sampler = PlanSampler(BatchPlan(LENGTHS, LENGTHS, SampleCount(4), seed=7))
    recorder = Recorder()
    trainer = Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(recorder, DataLoader(Slots(), batch_sampler=sampler, collate_fn=list))
    planned = [BatchPlan(LENGTHS, LENGTHS, SampleCount(4), seed=7, epoch=epoch).batches for epoch in range(3)]
    assert recorder.seen == planned
    assert planned[0] != planned[1]
