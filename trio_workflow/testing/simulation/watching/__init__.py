"""What is followed as it runs: executions, starts against rates, events in the ears of who listens."""
