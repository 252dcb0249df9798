"""Systems Manager: Parameter Store and Run Command."""
