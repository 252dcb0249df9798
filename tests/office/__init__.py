"""What the office must hold, judged by the tools and backups of the office."""
