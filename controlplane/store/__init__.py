"""What the control plane remembers, in SQL. Functions take a connection inside a transaction; nobody else writes a statement."""
