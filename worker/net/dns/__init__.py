"""The DNS client of the door: messages as bytes, one query to one server, and servers asked in order.

It judges no name, no server and no answer, and keeps nothing between two look-ups.
"""
