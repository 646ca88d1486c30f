"""Project links: making and removing them at OpenTrain, and the records of them."""

from django_opentrain.services.linking.lifecycle import complete, finish_removal, link, unlink

__all__ = ["complete", "finish_removal", "link", "unlink"]
