"""The protocol that both sides agree on: signing, envelope, messages. One implementation for both of them, no IO inside."""
