"""What both sides agree on: signing, envelope, messages. One implementation for worker and control plane, no IO inside."""
