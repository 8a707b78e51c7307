"""The agent inside the private network: pulls encrypted API tests, runs them under hard limits, returns encrypted results."""

__version__ = "0.1.0"
