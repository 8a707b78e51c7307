"""The HTTP/1.1 client over the door: request, response, exchange, redirects and cookies (`client`).

It judges no response, decodes no body, and knows neither tests nor actions: who sends a request says under which name.
"""
