"""scripts/tasks/vocabulary.py, by hand."""

import pytest

from tasks.vocabulary import FILE, Vocabulary

TEXTS = [["下", "雪", "了"], ["了", "b", "a"], ["了", "雪"]]


def test_words_are_numbered_by_frequency_behind_padding_and_unknown():
    words = Vocabulary.learn(TEXTS)
    assert words.words == ["<padding>", "<unknown>", "了", "雪", "a", "b", "下"]
    assert words.encode(["雪", "了", "雨", "a"]) == [3, 2, 1, 4]
    assert words.encode([]) == []
    assert Vocabulary.learn(reversed(TEXTS)).words == words.words


def test_size_counts_padding_and_unknown():
    words = Vocabulary.learn(TEXTS, 4)
    assert len(words) == 4 and words.encode(["了", "雪", "a"]) == [2, 3, 1]
    assert len(Vocabulary.learn(TEXTS, 100)) == 7


def test_what_is_written_is_read(tmp_path):
    words = Vocabulary.learn(TEXTS + [["\u2028x", "\x85y", '"', "\ufeff"]])  # Line ends for Python, not for us.
    words.write(str(tmp_path))
    assert Vocabulary.read(str(tmp_path)).words == words.words
    assert len((tmp_path / FILE).read_bytes().split(b"\n")) == len(words) + 1
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    "content",
    ["", "a\nb\n", "<padding>\n<unknown>\na", "<padding>\n<unknown>\na\na\n", "<padding>\n<unknown>\n\na\n"],
)
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / FILE).write_bytes(content.encode("utf-8"))
    with pytest.raises(
        ValueError, match="expected the lines <padding> and <unknown>, .*train again in another directory"
    ):
        Vocabulary.read(str(tmp_path))


def test_damaged_and_missing_files_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="--train_dir: expected vocabulary.txt next to the checkpoints"):
        Vocabulary.read(str(tmp_path))
    (tmp_path / FILE).write_bytes("<padding>\n<unknown>\n新闻\n".encode("gbk"))
    with pytest.raises(ValueError, match="expected words in UTF-8"):
        Vocabulary.read(str(tmp_path))
