"""The protocols of the test language, one file each, and the table of them.

A file holds the protocol's request and response, the reading of `config.request`, and the assertion types with their operators.
How an answer is judged is decided in `worker.checks.protocols`, how it is had in `worker.probers`; neither is imported here.
"""
