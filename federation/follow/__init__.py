"""Asking a front door from outside: one launch, as a visitor's browser does, or a question. Knows no member."""
