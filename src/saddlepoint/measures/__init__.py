"""What a generator learned, in numbers. Measures are pure: they know features, never a recipe."""
