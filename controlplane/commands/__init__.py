"""The commands, one file a subject. They parse, ask and print: what is asked is an operation.

They decide nothing and hold no SQL. Only what concerns the database itself (`serve`, `migrate`, `backup`, `restore`) opens it
here; all else goes by `client`, which may be far from it.
"""
