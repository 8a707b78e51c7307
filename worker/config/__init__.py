"""Options: declared once, read from flags, environment and file, merged into one frozen Config. Knows no part of the worker that obeys them."""
