"""One file a data set: where it comes from, what its labels are, how it is scored."""
