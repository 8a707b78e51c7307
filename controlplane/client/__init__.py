"""The two ways to a control plane: its database, opened here, or its API at a URL. Commands cannot tell which one they have."""
