"""JSON Schema of actions, scripts, queries and parameters, which is ours or an operator's: offline, and applied in place.

It knows no action and no task, as the control plane reads the same schemas.
"""
