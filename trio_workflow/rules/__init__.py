"""DECISIONS: plain functions of what they are given. No await, no SQL, no clock, no randomness."""
