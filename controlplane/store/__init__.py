"""The control plane's memory, in SQL. Functions take a connection inside a transaction; nobody else writes a statement."""
