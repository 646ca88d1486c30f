"""An annotation platform as companies build theirs, with the packages that they use: ``tox -e inhouse``."""
