"""Delivery of notifications: the queue's loop, an HTTP sender and an SMTP sender, through the door under their own policy.

It decides on no alert and words none: it tells what is queued.
"""
