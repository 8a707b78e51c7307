"""Channels: one file a kind of receiver, each a frozen value of its settings and the request that tells it a message. No IO."""
