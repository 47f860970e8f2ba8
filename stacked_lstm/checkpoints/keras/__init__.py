"""Files of Keras. Keras is not imported."""
