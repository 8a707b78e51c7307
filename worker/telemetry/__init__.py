"""What the worker says of itself: logs, metrics, health, vitals. Measures and tells; decides nothing."""
