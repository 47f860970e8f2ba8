"""The steps of contestants that are this package's or TensorFlow's; `peers` has those of other libraries."""
