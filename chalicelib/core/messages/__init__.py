"""What wakes the worker: AWS's events, whom they concern, and the messages on the queue."""
