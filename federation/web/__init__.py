"""Turns HTTP requests into service calls and back."""
