"""Hire AI trainers on OpenTrain's marketplace from any annotation platform built on Django."""

__version__ = "0.1.0"
