"""The spool: what a worker finished survives its death, and what the control plane rejects is set aside, in one directory.

Imported only where `spoolDirectory` is set. Knows results as bytes under a name, never what is in them; never talks to the
control plane. The format is in docs/protocol.md.
"""
