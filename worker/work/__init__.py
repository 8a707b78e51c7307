"""Kinds of work that the agent can run: a job in, its outcome out. Nothing here pulls or pushes."""
