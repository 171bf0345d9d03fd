"""The course of a world, and who acts in it: processes, operators, and executors of the seed's own."""
