"""Private actions, the decisions: the life of a task, and what an order tells of its effect. No clock, no IO."""
