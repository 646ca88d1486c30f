"""The whole core loop, for real: a local OpenTrain, a site and its workers as processes, and people who use them."""
