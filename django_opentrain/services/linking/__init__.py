"""Project links: creating and removing them on OpenTrain, recording them, and what customers decide about them."""

from django_opentrain.services.linking.lifecycle import complete, finish_removal, link, unlink
from django_opentrain.services.linking.switches import configure

__all__ = ["complete", "configure", "finish_removal", "link", "unlink"]
