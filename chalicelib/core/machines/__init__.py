"""The candidates' operating systems: what is known of each, and when its configuration is rolled out."""
