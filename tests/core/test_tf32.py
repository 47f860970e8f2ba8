"""The cudnn engine turns TF32 off, unless the environment asks for it."""

import logging

import pytest

from stacked_lstm import StackedLSTM, compat, log, tf32
from stacked_lstm.compat import tf
from support.suite.versions import OLD

pytestmark = pytest.mark.skipif(OLD, reason="TensorFlow 1.15 knows no TF32")


@pytest.fixture(autouse=True)
def on(monkeypatch):
    """TF32 is on, as it is by default, and the environment says nothing."""
    monkeypatch.delenv("STACKED_LSTM_TF32", raising=False)
    before = compat.tensor_float_32()
    compat.set_tensor_float_32(True)
    yield
    compat.set_tensor_float_32(before)


def build(**options):
    StackedLSTM([2], **options)(tf.zeros([1, 1, 1]))


def test_off_by_the_engine(caplog, monkeypatch):
    monkeypatch.setattr(log, "_logged", set())
    build(engine="graph")
    assert compat.tensor_float_32() and not caplog.records
    with caplog.at_level(logging.WARNING, "stacked_lstm"):
        build(engine="cudnn", name="one")
        build(engine="cudnn", name="other")
    assert not tf.config.experimental.tensor_float_32_execution_enabled()
    messages = [record.getMessage() for record in caplog.records if "TF32" in record.getMessage()]
    assert len(messages) == 1 and "STACKED_LSTM_TF32=1" in messages[0]


@pytest.mark.parametrize("value, kept", [("1", True), ("0", False), ("", False)])
def test_asked_for_by_the_environment(value, kept, monkeypatch):
    monkeypatch.setenv("STACKED_LSTM_TF32", value)
    build(engine="cudnn")
    assert tf32.asked_for() == compat.tensor_float_32() == kept


def test_anything_else_in_the_environment(monkeypatch):
    monkeypatch.setenv("STACKED_LSTM_TF32", "yes")
    with pytest.raises(ValueError, match="tf32: expected `STACKED_LSTM_TF32` to be one of 0, 1, got 'yes'"):
        build(engine="cudnn")
