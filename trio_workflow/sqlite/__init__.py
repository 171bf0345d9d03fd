"""What the store and the projections both need of SQLite: connections, file identities, the WAL."""
