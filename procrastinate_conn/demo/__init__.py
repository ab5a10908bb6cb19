"""The demo, and the PostgreSQL server that it and the tests run on."""
