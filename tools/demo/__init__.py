"""The demo: one router's life on an embedded AWS, judged step by step."""
