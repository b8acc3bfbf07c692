"""Keras needs a backend before it is imported: the first that is installed, or $KERAS_BACKEND."""

from kinet.backend import choose

choose()
