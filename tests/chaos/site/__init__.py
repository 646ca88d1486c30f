"""The example site as chaos runs it: with an adapter that fails, and with shorter waits."""
