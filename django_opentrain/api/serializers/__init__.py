"""What goes in and out, in OpenTrain's names: camelCase, ISO 8601, and nothing that is secret."""
