"""The rules, a module for each room; every finding is made by one of them."""
