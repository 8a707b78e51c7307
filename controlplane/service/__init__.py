"""The use cases: what operations, pages, the public API and the protocols ask for, one subject a module.

Functions take the database, a clock and frozen values, and return frozen values. They open the transactions and make the
decisions; they print nothing, read no file and no environment, and know neither click nor aiohttp.
"""
