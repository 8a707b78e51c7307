"""Options: declared once, read from flags, environment and file, and merged into one frozen Config.

It knows no part of the worker that obeys an option.
"""
