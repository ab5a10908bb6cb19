"""What our connectors gain over the same classes written by hand, and how far they are from the limit."""
