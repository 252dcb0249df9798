"""Mooring keeps an AWS VPC moored to an office network through one EC2 router."""
