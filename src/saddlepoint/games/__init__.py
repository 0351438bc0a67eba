"""Who plays, and how a round goes."""
