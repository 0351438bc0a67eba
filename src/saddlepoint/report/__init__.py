"""What a run folder tells: its page, its tables, its export. Reads the folder only; nothing here trains."""
