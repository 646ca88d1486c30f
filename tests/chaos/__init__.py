"""Tries to break the promise: real processes, real brokers and databases, and everything that goes wrong with them.

``python -m tests.chaos --seed 7 --minutes 1`` plays customers who hire and leave while processes are killed,
brokers and databases go away, and OpenTrain and the host's own code misbehave. When all is quiet again it
compares both sides. See ``docs/`` for what is promised.
"""
