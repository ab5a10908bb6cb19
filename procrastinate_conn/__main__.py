"""``python -m procrastinate_conn`` is the command ``procrastinate-conn``."""

from procrastinate_conn.cli import main

main()
