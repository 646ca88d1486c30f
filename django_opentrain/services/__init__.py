"""The verbs of the core loop: the only code that writes the models."""
