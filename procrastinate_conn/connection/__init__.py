"""The validated connection."""
