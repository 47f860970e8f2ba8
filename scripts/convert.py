"""The command stacked-lstm-convert of the package; `stacked_lstm/commands/convert.py` describes it."""

from stacked_lstm.commands import convert

if __name__ == "__main__":
    convert.run()
