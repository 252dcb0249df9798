"""What is rendered for the router, judged by the tools that read it there."""
