"""The one module that knows TensorFlow versions: everything else imports `tf` from here.

TensorFlow 1.15 and 2.x both carry the TF1 graph API under this name, so nothing else needs telling apart so far.
"""

import tensorflow.compat.v1 as tf

__all__ = ["tf"]
