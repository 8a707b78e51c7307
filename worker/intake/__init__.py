"""The client of the control plane: what a reply means, when to ask again, and the exchange itself."""
