import pytest
import torch

from scd_lightning.errors import StoreError
from scd_lightning.store.checkpoints import CheckpointStore
from scd_lightning.store.layout import ARTIFACT
from scd_lightning.store.making import make_folder
from scd_lightning.training.callbacks.best_weights import BestWeights


@pytest.mark.parametrize(
    ("validations", "best"),
    [
        ([(0.1, 1.0), (0.3, 2.0), (0.2, 0.5)], 1),  # the highest metric
        ([(0.3, 2.0), (0.3, 1.5), (0.3, 1.7)], 1),  # then the lowest loss
        ([(0.3, 1.5), (0.3, 1.5), (0.2, 1.0)], 1),  # then the later one
        ([(0.0, 3.0)], 0),
    ],
)
def test_keeps_the_best(make_module, trainer, tmp_path, validations, best):
    module = make_module()
    folder = make_folder(tmp_path / f"student-{24 * '0'}.partial", ARTIFACT, tmp_path)
    keep = BestWeights(folder / "weights", keep_frozen=True)
    for epoch, (metric, loss) in enumerate(validations):
        _fill(module.lm, epoch)
        trainer.current_epoch, trainer.global_step = epoch, 6 * (epoch + 1)
        trainer.callback_metrics = {"validation_metric": torch.tensor(metric), "validation_loss": torch.tensor(loss)}
        keep.on_validation_end(trainer, module)

    assert keep.best == pytest.approx((*validations[best], best))
    store = CheckpointStore(folder / "weights")
    assert [entry.step for entry in store.entries] == [6 * (best + 1)]
    store.load_into(module.lm, 0)
    assert all(torch.all(parameter == best) for parameter in module.lm.parameters())
    assert [path.name for path in folder.iterdir() if path.name.startswith("weights")] == ["weights"]


def test_somebody_else_s_weights_stay(make_module, trainer, tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "mine").touch()
    trainer.callback_metrics = {"validation_metric": torch.tensor(1.0), "validation_loss": torch.tensor(1.0)}
    keep = BestWeights(tmp_path / "weights", keep_frozen=True)
    with pytest.raises(StoreError, match=f"left alone.* Where: {tmp_path / 'weights'}"):
        keep.on_validation_end(trainer, make_module())
    assert (tmp_path / "weights" / "mine").exists()


def test_a_sanity_check_is_no_validation(make_module, trainer, tmp_path):
    trainer.sanity_checking = True
    keep = BestWeights(tmp_path / "weights", keep_frozen=True)
    keep.on_validation_end(trainer, make_module())
    assert keep.best is None
    assert not (tmp_path / "weights").exists()


def _fill(model: torch.nn.Module, value: float) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)
