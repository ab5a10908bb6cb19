"""What will be used, where each value comes from, and what it beat."""
