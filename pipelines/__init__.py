"""Complete DALI graphs, one file for each family of data sets. Each file works alone: copy it into your own project."""
