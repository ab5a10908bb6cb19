"""Who wins: from what the places state to one value for each setting."""
