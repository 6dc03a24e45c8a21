"""The leases in a SQLite file: a table in memory that decides, and a helper process that writes."""
