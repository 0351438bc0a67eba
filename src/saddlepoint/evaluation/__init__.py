"""From a run, a folder or an array to numbers with their cards: gathering evidence, one feature pass, the cache, the table."""
