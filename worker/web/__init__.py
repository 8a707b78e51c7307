"""Web servers whose clients may be anybody: limits on slow request heads, idle connections and their number, and certificates.

It knows connections; it routes nothing, answers nothing, and decides nothing about a request.
"""
