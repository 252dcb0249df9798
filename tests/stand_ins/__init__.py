"""What stands in for the world around Mooring in tests: each thing once, for every folder of tests."""
