"""Our connectors compared with the same classes written by hand, and with the limit of the driver."""
