"""The commands of the runner besides serving, enrolling and its status."""
