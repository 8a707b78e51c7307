"""Reports of `check`: what becomes of its results, for people, for programs, for CI. One file a form; they run nothing."""
