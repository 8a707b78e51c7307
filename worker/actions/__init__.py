"""The actions that a runner can carry out, one file a kind. They see no configuration, no local policy and no wire."""
