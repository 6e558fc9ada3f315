"""Made-up English sentences for trials on a laptop: real words, no download, seconds a cell."""
