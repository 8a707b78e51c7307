"""Alerts, the decisions: messages and their templates, the payloads of channels, the waits between attempts. No IO, no clock."""
