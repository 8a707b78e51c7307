"""What the worker says of itself: logs, metrics, health, vitals.

It measures and reports; it decides nothing.
"""
