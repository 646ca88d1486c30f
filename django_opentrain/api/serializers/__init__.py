"""Serializers, with OpenTrain's names: camelCase, ISO 8601, and nothing secret."""
