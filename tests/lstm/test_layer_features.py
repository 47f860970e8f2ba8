"""The table of what a layer may have: no field of a layer is forgotten, and each feature is seen alone."""

import pytest

from stacked_lstm.compat import tf
from stacked_lstm.lstm import layer_features
from stacked_lstm.lstm.equations import PLAIN, Extras, Noise
from stacked_lstm.lstm.layer import Layer

LAYER = Layer(2, 3, [None])
# Fields of a layer that every layer has.
PLAIN_FIELDS = {"input_size", "hidden_size", "kernels", "biases", "activation", "recurrent_activation"}


def with_field(kind, name, value=0.5):
    changed = {name: value}
    if kind is Extras:
        changed = {"extras": PLAIN._replace(**changed)}
    if kind is Noise:
        changed = {"noise": Noise(**changed)}
    return LAYER._replace(**changed)


FIELDS = [(kind, name) for kind in (Layer, Extras, Noise) for name in kind._fields]
FIELDS = [field for field in FIELDS if field[1] not in PLAIN_FIELDS | {"extras", "noise", "draw_candidate_masks"}]


@pytest.mark.parametrize("kind, name", FIELDS)
def test_each_field_is_one_feature(kind, name):
    assert layer_features.present([LAYER], layer_features.FEATURES) == []
    (feature,) = layer_features.present([LAYER, with_field(kind, name)], layer_features.FEATURES)
    assert layer_features.present([LAYER], [feature]) == []
    assert layer_features.present([with_field(kind, name)], layer_features.all_except(feature)) == []


def test_masks_of_the_candidate_that_are_still_to_be_drawn():
    """They are the same feature as masks that are drawn, and another one besides."""
    features = [layer_features.CANDIDATE_DROPOUT, layer_features.UNDRAWN_MASKS]
    for layer, expected in [
        (with_field(Layer, "draw_candidate_masks", tf.ones), features),
        (with_field(Noise, "candidate"), features[:1]),
    ]:
        assert layer_features.present([layer], layer_features.FEATURES) == expected


def test_features_that_messages_name():
    constants = {value for name, value in vars(layer_features).items() if name.isupper() and isinstance(value, str)}
    assert constants <= set(layer_features.FEATURES)
