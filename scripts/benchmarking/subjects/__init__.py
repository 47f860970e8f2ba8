"""What the benchmark measures: shapes, and cells, options and numbers of threads at a shape. No TensorFlow here."""
