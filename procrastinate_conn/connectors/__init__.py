"""The connectors: procrastinate's classes, configured for their drivers."""
