"""Telling people: a ledger of what they were told, and channels."""
