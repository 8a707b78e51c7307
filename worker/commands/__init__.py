"""The commands besides serving: one module each, all of them over the same parts as the worker. They serve nothing.

What they print is a report's (`reports`) or text; what they find out is found out by the rooms below.
"""
