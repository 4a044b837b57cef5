"""``python -m bench gpu``: the steps of a short time on a GPU."""
