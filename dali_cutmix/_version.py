"""The version, in a module of its own: it is read without importing DALI."""

__version__ = "0.1.0"
