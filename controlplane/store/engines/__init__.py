"""The kinds of database, one module each. Everything that differs between them stands here and nowhere else.

An engine opens connections, sets them up, begins transactions, and says what an error of its driver means. It knows no table.
"""
