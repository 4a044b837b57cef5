"""Complete DALI graphs, one file for each data set family: copy one into a project of your own."""
