"""Django's command line: python manage.py migrate, runserver, procrastinate worker."""

import os

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project")
execute_from_command_line()
