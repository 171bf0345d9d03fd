"""What is asked at certain moments, of runtimes and executors: at rest, on leaving, reading, at the end."""
