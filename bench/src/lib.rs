//! Workloads of the benchmarks: seeded, so that every run folds the same records.
