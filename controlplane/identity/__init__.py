"""Sign-on by a provider of identities: OpenID Connect Core 1.0, the code flow with PKCE. It makes no user and no session.

What a provider says counts only under its own signature, for this client and for the visitor who was sent there.
"""
