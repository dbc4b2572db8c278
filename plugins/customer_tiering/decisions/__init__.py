"""What people decided, in files that are only ever appended to."""
