"""How a trajectory is validated."""

import pytest
import torch.distributed as dist
from lightning import Trainer
from torchmetrics import Metric


@pytest.fixture
def group(tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("group")
def test_metrics_are_put_together_before_the_model_leaves_its_device(make_job, run_job, monkeypatch):
    torn_down: list[bool] = []
    synced: list[bool] = []
    teardown, sync = Trainer._teardown, Metric.sync
    monkeypatch.setattr(Trainer, "__init__", _noting(Trainer.__init__, torn_down, state=False))
    monkeypatch.setattr(Trainer, "_teardown", _noting(teardown, torn_down, state=True))

    def watched(self, *args, **kwargs):
        synced.append(torn_down[-1])
        return sync(self, *args, **kwargs)

    monkeypatch.setattr(Metric, "sync", watched)
    run_job(make_job("phases=[teacher_sft]"))
    assert synced
    assert not any(synced)


def _noting(method, notes, *, state):
    def noted(self, *args, **kwargs):
        notes.append(state)
        return method(self, *args, **kwargs)

    return noted
