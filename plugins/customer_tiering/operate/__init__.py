"""What operators do: status, backup, rollback, replay, privacy scan."""
