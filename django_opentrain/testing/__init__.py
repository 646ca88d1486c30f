"""Tools with which a host project tests its adapter and pages against a local OpenTrain."""
