"""The steps of a night, and the guard that lets one night run at a time."""
