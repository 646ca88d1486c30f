"""Project links: creating and removing them on OpenTrain, and recording them here."""

from django_opentrain.services.linking.lifecycle import complete, finish_removal, link, unlink

__all__ = ["complete", "finish_removal", "link", "unlink"]
