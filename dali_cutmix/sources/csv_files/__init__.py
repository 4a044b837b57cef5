"""CSV files that list images with their labels.

file ── ``rows`` ──▶ image and label of each row ── ``labels`` ──▶ numbers ── ``csv_samples`` ──▶ paths, labels, classes
"""

from dali_cutmix.sources.csv_files.csv_samples import CsvSamples, csv_samples
from dali_cutmix.sources.csv_files.rows import Column

__all__ = ["Column", "CsvSamples", "csv_samples"]
