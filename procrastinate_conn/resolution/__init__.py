"""The precedence: from the settings of all sources to one effective value for each."""
