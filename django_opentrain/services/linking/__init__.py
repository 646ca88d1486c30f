"""Project links: making and removing them at OpenTrain, and the records of them."""

from django_opentrain.services.linking.lifecycle import (
    LinkConflict,
    LinkError,
    complete,
    finish_removal,
    link,
    unlink,
)

__all__ = ["LinkConflict", "LinkError", "complete", "finish_removal", "link", "unlink"]
