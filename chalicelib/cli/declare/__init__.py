"""The verb that declares a topology."""
