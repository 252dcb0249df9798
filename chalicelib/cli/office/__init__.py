"""The verb for the office's engineer."""
