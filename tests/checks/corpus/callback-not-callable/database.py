configure = 1
