"""A deterministic simulator: the unmodified controller and worker against a network whose truth is known.

What is true (`vpc`) and what is shown (`network`) are two things; `judge` knows only the first. One integer seed decides a
schedule: what goes wrong (`nemesis`), when, and who asks for what meanwhile.
"""
