"""Existing files when a checkpoint is written: which are errors, replaced, removed, or kept."""

import os

import pytest

from stacked_lstm import checkpoints
from stacked_lstm.compat import tf
from support.checkpoint_files import arrays_in, folder
from support.plain_lstm import float32_layers
from support.random_networks import GATES


@pytest.mark.parametrize("end", [".index", ".data-00000-of-00001"])
def test_a_folder_where_a_part_of_a_checkpoint_would_be(end, tmp_path):
    (tmp_path / ("own.ckpt" + end)).mkdir()
    with pytest.raises(ValueError, match="expected the name of a file, got the folder .*" + end):
        checkpoints.write(str(tmp_path / "own.ckpt"), float32_layers([4], 3), "stacked_lstm", overwrite=True)
    assert os.listdir(str(tmp_path)) == ["own.ckpt" + end]


def test_parts_of_another_checkpoint(tmp_path):
    """Data without an index count as an existing file. Old shards and a file of version 1 are removed."""
    names_of_parts = ["own.ckpt.data-00000-of-00001", "own.ckpt.data-00001-of-00002", "own.ckpt"]
    for name in names_of_parts:
        (tmp_path / name).write_bytes(b"old")
        with pytest.raises(
            ValueError, match="expected the name of a new file, or `overwrite=True`, got .*, which exists"
        ):
            checkpoints.write(str(tmp_path / "own.ckpt"), float32_layers([4], 3), "stacked_lstm")
    checkpoints.write(str(tmp_path / "own.ckpt"), float32_layers([4], 3), "stacked_lstm", overwrite=True)
    assert set(folder(tmp_path)) == {"own.ckpt.data-00000-of-00001", "own.ckpt.index", "checkpoint"}


def test_links_and_modes_stay(tmp_path):
    (tmp_path / "to").mkdir()
    real, link = tmp_path / "to" / "real.npz", tmp_path / "link.npz"
    checkpoints.write(str(real), float32_layers([4], 3))
    os.chmod(str(real), 0o640)
    link.symlink_to(real)
    old_data = real.read_bytes()
    checkpoints.write(str(link), float32_layers([4], 3, seed=6), overwrite=True)
    assert os.path.islink(str(link)) and real.read_bytes() != old_data
    assert os.stat(str(real)).st_mode & 0o777 == 0o640


def test_overwriting_and_the_state_file(tmp_path):
    layers = float32_layers([4], 3)
    checkpoints.write(str(tmp_path / "a.ckpt"), layers, "stacked_lstm")
    checkpoints.write(str(tmp_path / "b.ckpt"), layers, "stacked_lstm")
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "a.ckpt")  # The first one stays the latest.
    layers[0]["Wf"][0, 0] = 77
    checkpoints.write(str(tmp_path / "a.ckpt"), layers, "stacked_lstm", overwrite=True)
    assert arrays_in(tmp_path / "a.ckpt")["stacked_lstm/layer_1/Wf"][0, 0] == 77
    assert arrays_in(tmp_path / "b.ckpt")["stacked_lstm/layer_1/Wf"][0, 0] != 77
    assert len(GATES) * 2 == len(arrays_in(tmp_path / "a.ckpt"))
