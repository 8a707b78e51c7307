"""The HTTP/1.1 client over the door: request, response, exchange, redirects, cookies. Judges nothing and follows nothing by itself."""
