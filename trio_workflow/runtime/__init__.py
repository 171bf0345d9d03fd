"""TASKS: the only place that opens nurseries."""
