"""Helpers that several test files share; tests/README.md lists them. No test file imports another."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""
