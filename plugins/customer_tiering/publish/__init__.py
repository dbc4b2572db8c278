"""The published snapshot: versioned folders and one pointer."""
