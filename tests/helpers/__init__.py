"""Helpers that several tests share. No test imports another test's file."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""
