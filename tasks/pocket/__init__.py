"""Made-up English sentences for trials on a laptop: no download, real words, a few seconds a cell."""
