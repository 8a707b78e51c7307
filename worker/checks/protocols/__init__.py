"""Judging and reporting of each protocol's response, one file a protocol, and the table of them. As pure as `checks` is."""
