"""HTTP/2 over one connection (RFC 9113): one request, one response. Imported by the first run that may need it.

h2 keeps the protocol's states, hpack its header blocks. Kept here is what they leave open to a hostile server: how many frames,
and of which kinds, are looked into at all.
"""
