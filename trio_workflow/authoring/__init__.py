"""What users write: packages, entrypoints, executors, and what those are handed to work with."""
