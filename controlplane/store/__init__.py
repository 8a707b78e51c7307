"""The control plane's memory, in SQL. Functions take a connection inside a transaction; nobody else writes a statement.

It asks for no scope and begins no use case: who may do what, and what belongs in one transaction, the service layer says.
"""
