"""The client of the control plane: what a reply means, when to ask again, and the exchange itself.

It takes no job and keeps no result; it follows no redirect and believes no reply that is not signed.
"""
