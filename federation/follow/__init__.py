"""Following one launch from outside, as a visitor's browser does. Knows no terminal and no member."""
