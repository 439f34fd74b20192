from pathlib import Path

import pytest
import torch

from scd_lightning.training.resume.state_io import StateIO


@pytest.mark.parametrize("odd", [Path("a"), lambda: None, {"deep": [torch.nn.Linear(1, 1)]}])
def test_a_callback_whose_state_is_not_read_back_is_left_out_alone(tmp_path, capsys, odd):
    state_io = StateIO(tmp_path)
    for name in ("first", "second"):
        callbacks = {"plain": {"values": (1, None, {2}), "tensor": torch.ones(2)}, "odd": odd}
        state_io.save_checkpoint({"callbacks": callbacks, "step": 3}, tmp_path / name)
        assert state_io.error is None
        found = state_io.load_checkpoint(tmp_path / name)
        assert found["step"] == 3
        assert found["callbacks"].keys() == {"plain"}
    assert capsys.readouterr().out.count("The callback odd") == 1


def test_what_else_is_not_read_back_is_an_error(tmp_path):
    state_io = StateIO(tmp_path)
    state_io.save_checkpoint({"callbacks": {}, "more": Path("a")}, tmp_path / "state")
    assert "PosixPath" in str(state_io.error)
    state_io.save_checkpoint({"callbacks": {}}, tmp_path / "state")
    assert state_io.error is None


def test_what_others_save_goes_their_own_way(tmp_path):
    state_io = StateIO(tmp_path / "resume")
    path = tmp_path / "own" / "last.ckpt"
    state_io.save_checkpoint({"step": 3, "more": Path("a")}, path)
    assert torch.load(path, weights_only=False)["more"] == Path("a")
    state_io.remove_checkpoint(path)
    assert not path.exists()
