"""The HTTP client over the door: request, response, exchange, redirects and cookies (`client`); HTTP/2 is a package within.

It judges no response, decodes no body, and knows neither tests nor actions: who sends a request says under which name.
"""
