"""The verb that proposes a topology: from a stack of ours, or from any VPC."""
