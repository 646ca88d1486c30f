"""The adapters for platforms, tried inside of them: ``tox -e label-studio``, ``tox -e doccano``."""
