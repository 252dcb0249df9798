"""The office's side of the tunnel: what it must hold, and what a backup of its firewall makes of it. Not in the Lambda package."""
