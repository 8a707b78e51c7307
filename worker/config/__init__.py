"""Options: declared once, read from flags, environment and file, and merged into one frozen Config.

An option yields the value that is used (a network, a glob, a name server, a proxy, a key), so nobody parses it again. It imports
the types of these values, and no part of the worker that obeys an option.
"""
