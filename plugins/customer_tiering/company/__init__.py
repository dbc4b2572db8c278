"""One company: its profile, its folders, and the journal of its runs."""
