"""Certificates that targets show, read and asked about: their facts, the issuers that they leave out, and their revocation."""
