"""The table of the devices, which exists already."""

from django.db import models


class Device(models.Model):
    """A device."""

    id = models.IntegerField(primary_key=True)
    name = models.TextField()

    class Meta:
        """Where its rows are."""

        managed = False
        db_table = 'dcim"."device'
