"""Speed and endurance, measured: each file is a program that prints its own table."""
