"""What the control plane answers over HTTP. Nothing here decides who runs what, and no statement of SQL is here."""
