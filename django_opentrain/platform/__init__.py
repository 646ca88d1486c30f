"""OpenTrain's Platform API as its vendor defines it. Nothing here knows Django."""
