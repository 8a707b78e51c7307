"""The protocols of the test language, one file each, and the table of them.

A file holds the protocol's request, the reading of `config.request`, and the assertion types with their operators. Responses
stand in `apitest.responses`.
How an answer is judged is decided in `worker.checks.protocols`, how it is had in `worker.probers`; neither is imported here.
"""
