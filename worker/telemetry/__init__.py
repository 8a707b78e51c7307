"""Logs, metrics, health and vitals: the worker's reports on itself.

It measures and reports; it decides nothing.
"""
