"""The HTTP/1.1 client over the door: request, response, exchange, redirects and cookies.

It judges nothing, and follows no redirect by itself.
"""
