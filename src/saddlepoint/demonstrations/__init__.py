"""Things shown rather than told: what each measure sees of a fault that was planted."""
