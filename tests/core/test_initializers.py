"""The named distributions and their statistics, CSV files, TensorFlow's initializers."""

import re

import numpy as np
import pytest

from stacked_lstm import StackedLSTM, initializers
from stacked_lstm.compat import tf

M, N = 300, 200

# name -> (lower and upper bound of all values, standard deviation)
LIMIT = np.sqrt(6 / (M + N))
STATISTICS = {
    "tn": (-0.2, 0.2, 0.1 * 0.8796),  # a normal distribution cut at two standard deviations has 0.8796 of its own
    "xavier": (-4 * LIMIT, 4 * LIMIT, 4 * LIMIT / np.sqrt(3)),
    "dl": (-1 / np.sqrt(M), 1 / np.sqrt(M), 1 / np.sqrt(3 * M)),
    "he": (-1, 1, np.sqrt(2 / M)),
    "glorot_bengio": (-LIMIT, LIMIT, LIMIT / np.sqrt(3)),
    "glorot_uniform": (-LIMIT, LIMIT, LIMIT / np.sqrt(3)),
    "he_uniform": (-np.sqrt(6 / M), np.sqrt(6 / M), np.sqrt(2 / M)),
    "lecun_uniform": (-np.sqrt(3 / M), np.sqrt(3 / M), np.sqrt(1 / M)),
    # Normal distributions, cut at two of their standard deviations, which are larger by as much as the cut takes away.
    "glorot_normal": (-2 * np.sqrt(2 / (M + N)) / 0.8796, 2 * np.sqrt(2 / (M + N)) / 0.8796, np.sqrt(2 / (M + N))),
    "he_normal": (-2 * np.sqrt(2 / M) / 0.8796, 2 * np.sqrt(2 / M) / 0.8796, np.sqrt(2 / M)),
    "lecun_normal": (-2 * np.sqrt(1 / M) / 0.8796, 2 * np.sqrt(1 / M) / 0.8796, np.sqrt(1 / M)),
}


def draw(name, session, shape=(M, N), dtype=tf.float64):
    return session.run(initializers.get(name)(shape, dtype=dtype))


@pytest.mark.parametrize("name", sorted(STATISTICS))
def test_statistics(name, session):
    values = draw(name, session)
    lower, upper, deviation = STATISTICS[name]
    assert values.shape == (M, N)
    assert lower <= values.min() and values.max() <= upper
    # 60 000 draws: three standard errors of the mean and about four of the deviation.
    assert abs(values.mean()) < 3 * deviation / np.sqrt(M * N)
    assert abs(values.std() / deviation - 1) < 0.01
    if name != "he":  # uniform and truncated draws fill their range
        assert values.max() > 0.97 * upper and values.min() < 0.97 * lower


def test_he_is_normal(session):
    values = draw("he", session) / np.sqrt(2 / M)
    for z, share in ((1, 0.6827), (2, 0.9545), (3, 0.9973)):
        assert abs(np.mean(np.abs(values) < z) - share) < 0.006


@pytest.mark.parametrize("shape", [(M, N), (N, M)])
def test_orthogonal(shape, session):
    values = draw("orthogonal", session, shape)
    product = values @ values.T if shape[0] < shape[1] else values.T @ values
    np.testing.assert_allclose(product, np.eye(N), atol=1e-12)


def test_zeros(session):
    assert not np.any(draw("zeros", session))


def test_vectors_count_as_square(session):
    values = draw("dl", session, (400,))
    assert values.shape == (400,) and 0.97 / 20 < np.abs(values).max() <= 1 / 20
    values = draw("glorot_bengio", session, (400,))
    assert 0.97 * np.sqrt(6 / 800) < np.abs(values).max() <= np.sqrt(6 / 800)


def test_dtypes(session):
    names, dtypes = sorted(initializers.DISTRIBUTIONS), [tf.float16, tf.bfloat16, tf.float32]
    tensors = {(name, d.name): initializers.get(name)((6, 4), dtype=d) for name in names for d in dtypes}
    for (name, dtype), values in session.run(tensors).items():
        assert tensors[name, dtype].dtype.name == dtype, name
        assert values.shape == (6, 4) and np.all(np.isfinite(values.astype(np.float64))), (name, dtype)


def test_every_distribution_is_tested():
    assert set(initializers.DISTRIBUTIONS) == set(STATISTICS) | {"orthogonal", "zeros"}


def test_every_distribution_is_in_the_table():
    header, *names = re.findall(r"^    (\w+) {2,}", initializers.__doc__, re.M)
    assert header == "name" and names == list(initializers.DISTRIBUTIONS)


def test_unknown_names_hear_which_xavier_is_the_usual_one():
    expected = (
        "expected `initializer` to be one of dl, .*, xavier, zeros .the usual Xavier is glorot_uniform; xavier is"
    )
    with pytest.raises(ValueError, match=f"initializers.get: {expected} four times as wide.*, got 'Xavier'"):
        initializers.get("Xavier")


def test_repeatable_by_graph_seed():
    drawn = []
    for _ in range(2):
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(5)
            lstm = StackedLSTM([4, 3])
            lstm.build(2)
            session.run(tf.global_variables_initializer())
            drawn.append(session.run(lstm.variables))
    for a, b in zip(*drawn):
        np.testing.assert_array_equal(a, b)
    assert np.any(drawn[0][0] != drawn[0][1])


def test_csv(session, tmp_path):
    path = str(tmp_path / "matrix.csv")
    matrix = np.random.RandomState(0).standard_normal([5, 3])
    np.savetxt(path, matrix, delimiter=",", fmt="%.17g")
    np.testing.assert_array_equal(draw(path, session, (5, 3)), matrix)


def test_csv_of_another_shape(tmp_path):
    path = str(tmp_path / "matrix.csv")
    np.savetxt(path, np.zeros([5, 4]), delimiter=",")
    with pytest.raises(ValueError) as error:
        StackedLSTM([3], weight_initializer=path).build(2)
    for part in ("stacked_lstm/layer_1/Wf", path, "(5, 3)", "(5, 4)"):
        assert part in str(error.value)


def test_csv_that_is_no_matrix(tmp_path):
    path = tmp_path / "matrix.csv"
    path.write_text("1,2\n3\n")
    with pytest.raises(ValueError, match="expected rows of numbers with commas in .*matrix.csv: "):
        initializers.get(str(path))((2, 2))


@pytest.mark.parametrize(
    "initializer", [tf.constant_initializer(0.25), lambda shape, dtype, partition_info=None: tf.fill(shape, 0.25)]
)
def test_tensorflow_initializers(initializer, session):
    lstm = StackedLSTM([3], weight_initializer=initializer, bias_initializer=initializer)
    lstm.build(2)
    session.run(tf.global_variables_initializer())
    assert np.all(session.run(lstm.layers[0].Wo) == 0.25)
    np.testing.assert_array_equal(session.run(lstm.layers[0].bf), [1.25] * 3)
