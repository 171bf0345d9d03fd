"""The state machine as plain functions over one transaction: a module per verb, a sentence per function."""
