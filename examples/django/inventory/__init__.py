"""A small inventory in Django, with the job buttons of rowhooks on the page of a device.

export INVENTORY_DB=inventory INVENTORY_HOST=localhost INVENTORY_USER=inventory
python manage.py migrate
python manage.py createsuperuser --username ann --email ann@example.org
python manage.py runserver
"""
