"""What observes the work on platforms: their adapters name it as ``observer``."""
