"""What tests of the scripts share: data sets, tasks, runs, clusters and benchmarks."""
