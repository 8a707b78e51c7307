"""The commands, one file a subject. They open the database, not the REST API."""
