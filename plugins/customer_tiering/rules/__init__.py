"""The rules of tiering: read, checked, versioned."""
