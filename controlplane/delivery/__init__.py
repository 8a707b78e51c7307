"""Delivery of notifications: the queue's loop, an HTTP sender and an SMTP sender, through the door under their own policy."""
