"""Getting a company in: look at what it has, propose a mapping, show what becomes of its rows, write the profile."""
