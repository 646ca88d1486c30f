"""An adapter's module that fails when it is imported, and not by an ImportError."""

raise RuntimeError("no settings for this")
