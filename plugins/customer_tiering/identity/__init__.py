"""One customer over all sources: which records are the same company, and the id that stays with it."""
