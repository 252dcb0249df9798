"""The core decides and never acts: pure values and functions, no boto3, no clock, no environment."""
